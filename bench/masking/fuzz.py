"""Masks random secrets in random forms anywhere in a log, cut at any point: none may be seen, nothing else changed.

A case is one secret in one form in one surrounding, with its own cuts. The cases of a batch share their secrets, and
are one log: it is masked as a whole, and again in the pieces that the cuts make; both have to be the same, and each
case has to be as `cases` says. Half of the batches are one long line. `cases` uses no code of the mask.

    .venv/bin/python bench/masking/fuzz.py [--cases N] [--seed N] [--batch N]
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.masking.cases.forms import FILLERS, FORMS, LINE_FORMS, Form
from bench.masking.cases.parts import Fate, Part, either, kept
from bench.masking.cases.secrets import Secret, secrets
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns

BATCH = 1000
_MAX_SECRETS = 20
_SINGLE_QUOTES = (b"'", b'"')
# Also as escapes.
_QUOTING = rb"""(?:['"\\]|(?<=\\)(?:x(?:22|27|5[cC])|u00(?:22|27|5[cC])|042|047|134))*"""
_QUOTING_FIRST, _QUOTING_LAST = re.compile(_QUOTING), re.compile(_QUOTING + rb"\Z")
_STARS = b"***"
_LINE_FORM = 0.12
_WITHOUT_CUTS = 0.3
_BYTE_BY_BYTE = 0.01
_MAX_CUTS = 4
# Letters that no secret has; the digits of a case's number, between two marks.
_MARK = "‡"
_DIGITS = "абвгдежзик"
_BETWEEN = re.compile(f"{_MARK}[{_DIGITS}]+{_MARK}".encode())


@dataclass(frozen=True)
class Case:
    """A text of parts, and where it is cut."""

    form: str
    target: bytes
    parts: tuple[Part, ...]
    cuts: tuple[int, ...]

    @property
    def text(self) -> bytes:
        """What the log has."""
        return b"".join(part.text for part in self.parts)


@dataclass(frozen=True)
class Batch:
    """Cases that share secrets, and are one log."""

    secrets: tuple[Secret, ...]
    cases: tuple[Case, ...]

    def pieces(self) -> list[bytes]:
        """The log as its cuts divide it."""
        log, cuts = bytearray(), [0]
        for number, case in enumerate(self.cases):
            log += _mark(number)
            cuts += (len(log) + each for each in case.cuts)
            log += case.text
        return [bytes(log[begin:end]) for begin, end in zip(cuts, [*cuts[1:], len(log)], strict=True)]


@dataclass(frozen=True)
class Wrong:
    """A case whose output is wrong, and how: `leaked`, `changed`, or `cut` if it depends on the cuts."""

    kind: str
    case: Case
    output: bytes
    secrets: tuple[Secret, ...]

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.case.form} of {self.case.target!r}\n  text   {self.case.text!r}\n"
            f"  masked {self.output!r}\n  cuts {self.case.cuts}; secrets {[each.value for each in self.secrets]}"
        )


def make(chance: random.Random, size: int = BATCH) -> Batch:
    """A batch of so many cases."""
    chosen = secrets(chance, chance.choice((1, 2, 3, 5, _MAX_SECRETS)))
    in_line = chance.random() < 0.5
    return Batch(tuple(chosen), tuple(_case(chance, chance.choice(chosen), in_line) for _ in range(size)))


def _case(chance: random.Random, secret: Secret, in_line: bool) -> Case:
    is_line = not in_line and chance.random() < _LINE_FORM
    while True:
        target = chance.choice(secret.targets)
        form: Form = chance.choice(LINE_FORMS if is_line else FORMS)
        parts = form(chance, target)
        if parts is not None and (not in_line or not any(b"\n" in part.text for part in parts)):
            break
        # Not every text has every form.
        is_line = is_line and chance.random() < 0.8
        if in_line and b"\n" in target and chance.random() < 0.1:
            parts = kept("Ж".encode())
            break
    before, after = _surrounding(chance, is_line, in_line)
    parts = [*before, *_beside_quotes(parts, before, after), *after]
    return Case(form.__name__, target, tuple(parts), _cuts(chance, sum(len(part.text) for part in parts)))


def _surrounding(chance: random.Random, is_line: bool, in_line: bool) -> tuple[list[Part], list[Part]]:
    if is_line:
        return kept(b"\n"), kept(b"\n")
    before, after = (_filler(chance.choice(FILLERS)) for _ in range(2))
    if not in_line:
        before = kept(chance.choice((b"", b"\n"))) + before
        after = after + kept(chance.choice((b"", b"\n", b"\r\n")))
    return before, after


def _beside_quotes(parts: list[Part], before: list[Part], after: list[Part]) -> list[Part]:
    """The parts, of which those quotes and backslashes may do either that are beside a quote."""
    if before and before[-1].text in _SINGLE_QUOTES and parts[0].fate is Fate.MASK:
        text = parts[0].text
        match = _QUOTING_FIRST.match(text)
        size = match.end() if match is not None else 0
        parts = [*either(text[:size]), Part(text[size:], Fate.MASK), *parts[1:]]
    if after and after[0].text in _SINGLE_QUOTES and parts[-1].fate is Fate.MASK:
        text = parts[-1].text
        match = _QUOTING_LAST.search(text)
        size = match.start() if match is not None else len(text)
        parts = [*parts[:-1], Part(text[:size], Fate.MASK), *either(text[size:])]
    return parts


def _filler(text: bytes) -> list[Part]:
    # Together with what is beside them, quotes may be an escape of a quote, and `=` the end of base64.
    return either(text) if text in (*_SINGLE_QUOTES, b"=") else kept(text)


def _cuts(chance: random.Random, size: int) -> tuple[int, ...]:
    kind = chance.random()
    if kind < _BYTE_BY_BYTE:
        return tuple(range(size))
    if kind < _WITHOUT_CUTS:
        return ()
    return tuple(sorted(chance.randint(0, size) for _ in range(chance.randint(1, _MAX_CUTS))))


def _mark(number: int) -> bytes:
    digits = "".join(_DIGITS[int(each)] for each in str(number))
    return f"{_MARK}{digits}{_MARK}".encode()


def output(patterns: SecretPatterns, pieces: Iterable[bytes]) -> bytes:
    """What the mask makes of a log that comes in these pieces."""
    mask = SecretMasker(patterns)
    return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()])


def check(batch: Batch) -> list[Wrong]:
    """The cases of a batch whose output is wrong."""
    patterns = SecretPatterns([each.value for each in batch.secrets])
    pieces = batch.pieces()
    cut = output(patterns, pieces)
    whole = output(patterns, [b"".join(pieces)])
    outputs, cut_outputs = _BETWEEN.split(whole)[1:], _BETWEEN.split(cut)[1:]
    if len(outputs) != len(batch.cases):
        return [_first_missing(batch, whole)]
    found = [
        Wrong(kind, case, text, batch.secrets)
        for all_outputs in (outputs, cut_outputs)
        for case, text in zip(batch.cases, all_outputs, strict=all_outputs is outputs)
        if (kind := _fault(case, text)) is not None
    ]
    if cut != whole and not found:
        found = [
            Wrong("cut", case, text, batch.secrets)
            for case, whole_text, text in zip(batch.cases, outputs, cut_outputs, strict=False)
            if text != whole_text
        ]
    return found if found or cut == whole else [_first_missing(batch, cut)]


def _first_missing(batch: Batch, whole: bytes) -> Wrong:
    number = next((number for number in range(len(batch.cases)) if _mark(number) not in whole), 1)
    return Wrong("changed", batch.cases[max(0, number - 1)], whole[:2000], batch.secrets)


def _fault(case: Case, text: bytes) -> str | None:
    """What is wrong with the output of a case; None if nothing is."""
    if text in (_expected(case.parts, Fate.MASK), _expected(case.parts, Fate.KEEP)):
        return None
    if re.compile(_pattern(case.parts), re.DOTALL).fullmatch(text):
        return None
    secret = b"".join(part.text for part in case.parts if part.fate is Fate.MASK)
    return "leaked" if any(each in text for each in _quarters(secret)) else "changed"


def _quarters(secret: bytes) -> Sequence[bytes]:
    """Parts of a secret that can't be seen if it is masked."""
    size = max(3, len(secret) // 4)
    return [secret[at : at + size] for at in range(0, len(secret) - size + 1, size)]


def _joined(parts: Iterable[Part]) -> list[Part]:
    """The same with neighbours of the same fate as one."""
    found: list[Part] = []
    for part in parts:
        if found and found[-1].fate is part.fate:
            found[-1] = Part(found[-1].text + part.text, part.fate)
        elif part.text:
            found.append(part)
    return found


def _expected(parts: Iterable[Part], either_is: Fate) -> bytes:
    """The output if what may do either does this."""
    found = b""
    for part in _joined(Part(each.text, either_is if each.fate is Fate.EITHER else each.fate) for each in parts):
        found += part.text if part.fate is Fate.KEEP else _stars(part.text, _STARS)
    return found


def _stars(text: bytes, stars: bytes) -> bytes:
    return b"\n".join(stars if line else b"" for line in text.split(b"\n"))


def _pattern(parts: Iterable[Part]) -> bytes:
    found, last = b"", b"\n"
    for part in _joined(parts):
        if part.fate is Fate.KEEP:
            found, last = found + re.escape(part.text), b"\n"
        elif part.fate is Fate.MASK:
            is_joined = not last.endswith(b"\n") and not part.text.startswith(b"\n")
            stars = _stars(part.text, rb"(?:\*\*\*)+")
            # May be one with what is masked before it.
            found += rb"(?:\*\*\*)*" + stars.removeprefix(rb"(?:\*\*\*)+") if is_joined else stars
            last = part.text
        else:
            found += rb"(?:\*\*\*)*"
            found += b"".join(rb"(?:" + re.escape(bytes([each])) + rb")?" for each in part.text)
            found += rb"(?:\*\*\*)*"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=BATCH, help="cases that share their secrets")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    chance, done, cuts = random.Random(args.seed), 0, 0
    wrong, forms = Counter[str](), Counter[str]()
    began, began_cpu = time.monotonic(), time.process_time()
    # An interrupt ends it early, with what was found until then.
    with suppress(KeyboardInterrupt):
        while done < args.cases:
            batch = make(chance, min(args.batch, args.cases - done))
            for each in check(batch):
                wrong[each.kind] += 1
                if wrong.total() <= 5:
                    print(each, flush=True)
            done += len(batch.cases)
            cuts += sum(len(case.cuts) for case in batch.cases)
            forms.update(case.form for case in batch.cases)
    cpu, seconds = time.process_time() - began_cpu, time.monotonic() - began
    print(", ".join(f"{name.lstrip('_')} {count}" for name, count in sorted(forms.items())))
    print(
        f"mask fuzz: seed {args.seed}; {done} cases, {cuts} cuts, {wrong.total()} wrong ({wrong['leaked']} leaked, "
        f"{wrong['changed']} changed, {wrong['cut']} depend on cuts); {seconds:.0f} s, {cpu:.0f} s of CPU"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
