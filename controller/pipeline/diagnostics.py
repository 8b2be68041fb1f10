"""Diagnostics: an error, warning or hint of lint, with its position and how to fix it.

Messages quote untrusted text, so it is sanitized here: no control characters, no reversed text, limited length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
Path = tuple[str | int, ...]
Position = tuple[int, int]

_MAX_WORD_LENGTH = 60
_MAX_MESSAGE_LENGTH = 600
MAX_COMPARISONS = 500_000
"""Pairs of characters that are compared for the suggestions of one file, about a third of a second."""
_comparisons_left: ContextVar[list[int] | None] = ContextVar("comparisons_left", default=None)
# Characters that move the cursor, set colours, start a line or change the reading direction.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


@dataclass(frozen=True)
class Diagnostic:
    """`line` and `column` count from 1; `path` is like `steps[2].dependsOn[0]`; `code` is stable kebab-case."""

    line: int
    column: int
    path: str
    severity: Severity
    code: str
    message: str
    hint: str = ""


def sanitize(text: str, max_length: int = _MAX_MESSAGE_LENGTH) -> str:
    """The text on one line, without characters that control a terminal, truncated to `max_length`."""
    clean = _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text[: max_length + 1])
    return clean if len(clean) <= max_length else clean[: max_length - 1] + "…"


def quote(text: str) -> str:
    """A word in backticks, sanitized and truncated."""
    return f"`{sanitize(text, _MAX_WORD_LENGTH)}`"


def join_words(words: Iterable[str], max_words: int = 8) -> str:
    """Words separated by commas: the first `max_words` and the number of the others."""
    all_words = list(words)
    joined = ", ".join(sanitize(word, _MAX_WORD_LENGTH) for word in all_words[:max_words])
    return joined if len(all_words) <= max_words else f"{joined} and {len(all_words) - max_words} more"


def format_path(path: Path) -> str:
    """Format `("steps", 2, "dependsOn", 0)` as `steps[2].dependsOn[0]`."""
    text = ""
    for part in path:
        word = part if isinstance(part, int) else sanitize(part, _MAX_WORD_LENGTH)
        text += f"[{word}]" if isinstance(part, int) else f".{word}" if text else str(word)
    return text


@contextmanager
def limited_suggestions() -> Iterator[None]:
    """Limit what all calls of `did_you_mean` in this block compare together, to MAX_COMPARISONS."""
    token = _comparisons_left.set([MAX_COMPARISONS])
    try:
        yield
    finally:
        _comparisons_left.reset(token)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a likely typo, otherwise ""; also "" once too much was compared."""
    if len(word) > _MAX_WORD_LENGTH:
        # The comparison is quadratic in the length, and a word of this length is no typo.
        return ""
    choices = [choice for choice in known if choice != word and len(choice) <= 2 * _MAX_WORD_LENGTH]
    found = [choice for choice in choices if choice.lower() == word.lower()]
    if not found and _may_compare(len(word) * sum(map(len, choices))):
        import difflib

        found = difflib.get_close_matches(word, choices, 1, 0.6)
    return f"did you mean `{found[0]}`?" if found else ""


def _may_compare(count: int) -> bool:
    left = _comparisons_left.get()
    if left is None:
        return count <= MAX_COMPARISONS
    if count > left[0]:
        return False
    left[0] -= count
    return True


@dataclass(frozen=True)
class SourceMap:
    """Positions in the text: of values by their path, and of keys by the path of their value."""

    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]

    def value_position(self, path: Sequence[str | int]) -> Position:
        """The position of a value, or of its nearest ancestor that has one."""
        here = tuple(path)
        while here and here not in self.values:
            here = here[:-1]
        return self.values.get(here, (1, 1))

    def key_position(self, path: Sequence[str | int]) -> Position:
        """The position of the key whose value has this path, otherwise that of the value."""
        return self.keys.get(tuple(path)) or self.value_position(path)

    def diagnostic(
        self,
        path: Sequence[str | int],
        code: str,
        message: str,
        hint: str = "",
        *,
        severity: Severity = "error",
        at_key: bool = False,
    ) -> Diagnostic:
        """A diagnostic at a path, with sanitized texts."""
        position = self.key_position(path) if at_key else self.value_position(path)
        return diagnostic_at(position, code, message, hint, path=tuple(path), severity=severity)


def diagnostic_at(
    position: Position, code: str, message: str, hint: str = "", *, path: Path = (), severity: Severity = "error"
) -> Diagnostic:
    """A diagnostic at a position, with sanitized texts."""
    return Diagnostic(*position, format_path(path), severity, code, sanitize(message), sanitize(hint))
