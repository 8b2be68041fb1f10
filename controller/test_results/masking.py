"""Masks the values of secrets in texts of reports, and removes what a terminal would obey. Pure.

The texts are masked as they were meant, after XML and JSON are decoded: an escaped secret is one too. All texts of a
report are masked in one piece, because the search is fast for long data only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_BATCH = 256 * 1024


def plain_text(text: str) -> str:
    """The text without control sequences, other control characters, and those that hide or reorder others."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def mask_texts(texts: Sequence[str], secrets: Iterable[bytes]) -> list[str]:
    """The texts with `***` for each occurrence of a secret, without control characters; their lines stay lines."""
    patterns = SecretPatterns(secrets)
    plain = [plain_text(text) for text in texts]
    if not patterns:
        return plain
    # As it is printed, and then as it reads: removing what hides a part of a secret must not reveal it.
    return _mask(_plain_again(_mask(list(texts), patterns)), patterns)


def _plain_again(texts: list[str]) -> list[str]:
    return [plain_text(text) for text in texts]


def _mask(texts: list[str], patterns: SecretPatterns) -> list[str]:
    """Each occurrence within one text, and those that only all texts together show."""
    counts = [text.count("\n") + 1 for text in texts]
    masker, pieces = SecretMasker(patterns), list[bytes]()
    whole = "\n".join(texts).encode("utf-8", "replace")
    for start in range(0, len(whole), _BATCH):
        pieces.append(masker.feed(whole[start : start + _BATCH]))
    pieces.append(masker.flush())
    lines = b"".join(pieces).decode("utf-8", "replace").split("\n")
    if len(lines) != sum(counts):
        # A mask keeps the lines. If it ever does not, no text can be told from another one: show none.
        return ["***"] * len(texts)
    found, at = [], 0
    for count in counts:
        found.append("\n".join(lines[at : at + count]))
        at += count
    return found
