"""From the text of a regular expression to a program of few kinds of steps. The language is RE2's, as Go has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from embedded.patterns.classes import CATEGORIES, DIGIT, POSIX, SPACE, WORD, Characters, Range, inverted

_MOST_REPEATS = 1000
_LARGEST = 20_000
_DEEPEST = 200
_ESCAPES = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_CLASSES: dict[str, tuple[Range, ...]] = {
    "d": DIGIT,
    "s": SPACE,
    "w": WORD,
    "D": inverted(DIGIT),
    "S": inverted(SPACE),
    "W": inverted(WORD),
}


class PatternError(Exception):
    """The text is no regular expression that can be matched here; the message says why, in Go's words where it has."""


@dataclass(frozen=True)
class Flags:
    any_case: bool = False
    lines: bool = False
    dot_all: bool = False
    lazy: bool = False


@dataclass(frozen=True)
class Take:
    """Goes on with the next step when a character fits."""

    characters: Characters


@dataclass(frozen=True)
class Fork:
    """Goes on at both places, counted from here; the first is preferred."""

    first: int
    second: int


@dataclass(frozen=True)
class Assert:
    """Goes on when the place in the text is such: `^`, `$`, `A`, `z`, `b` or `B`."""

    what: str


Step = Take | Fork | Assert
Program = tuple[Step, ...]
"""Whoever comes to its end has matched."""


def program(text: str) -> Program:
    """Raises:
    PatternError: see there.
    """
    parser = _Parser(text)
    found = parser.alternatives(0)
    if parser.at < len(text):
        raise PatternError(f"error parsing regexp: unexpected ): `{text}`")
    return found


def _either(left: Program, right: Program) -> Program:
    return (Fork(1, len(left) + 2), *left, Fork(len(right) + 1, len(right) + 1), *right)


def _optional(what: Program, lazy: bool) -> Program:
    on, past = 1, len(what) + 1
    return (Fork(past, on) if lazy else Fork(on, past), *what)


def _any_number(what: Program, lazy: bool) -> Program:
    on, past = 1, len(what) + 2
    return (Fork(past, on) if lazy else Fork(on, past), *what, Fork(-len(what) - 1, -len(what) - 1))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.flags = text, 0, Flags()

    def _wrong(self, why: str, part: str = "") -> PatternError:
        return PatternError(f"error parsing regexp: {why}: `{part or self.text}`")

    def _peek(self, count: int = 1) -> str:
        return self.text[self.at : self.at + count]

    def _took(self, what: str) -> bool:
        if not self.text.startswith(what, self.at):
            return False
        self.at += len(what)
        return True

    def _next(self) -> str:
        if self.at >= len(self.text):
            raise self._wrong("trailing backslash at end of expression", "")
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self, depth: int) -> Program:
        if depth > _DEEPEST:
            raise self._wrong("expression nests too deeply")
        branches = [self._sequence(depth)]
        while self._took("|"):
            branches.append(self._sequence(depth))
        found = branches.pop()
        while branches:
            found = _either(branches.pop(), found)
        return self._bounded(found)

    def _bounded(self, found: Program) -> Program:
        if len(found) > _LARGEST:
            raise self._wrong("expression too large")
        return found

    def _sequence(self, depth: int) -> Program:
        found: list[Step] = []
        while self.at < len(self.text) and self._peek() not in "|)":
            found += self._repeated(self._atom(depth), depth)
            self._bounded(tuple(found))
        return tuple(found)

    # -- repetition

    def _repeated(self, what: Program | None, depth: int) -> Program:
        begin = self.at
        bounds = self._bounds()
        if bounds is None:
            return what or ()
        if what is None:
            raise self._wrong("missing argument to repetition operator", self.text[begin : self.at])
        lazy = self._took("?") is not self.flags.lazy
        if self._bounds() is not None:
            raise self._wrong("invalid nested repetition operator", self.text[begin : self.at])
        least, most = bounds
        if most is not None and (most < least or most > _MOST_REPEATS):
            raise self._wrong("invalid repeat count", self.text[begin : self.at])
        if least > _MOST_REPEATS or len(what) * max(least, most or 0) > _LARGEST:
            raise self._wrong("invalid repeat count", self.text[begin : self.at])
        if most is None:
            return (*what * least, *_any_number(what, lazy))
        optional: Program = ()
        for _ in range(most - least):
            optional = _optional((*what, *optional), lazy)
        return (*what * least, *optional)

    def _bounds(self) -> tuple[int, int | None] | None:
        """How often: at least, and at most (None: any number); None when nothing is said of it."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._took(sign):
                return bounds
        end = self.text.find("}", self.at)
        if self._peek() != "{" or end < 0:
            return None
        least, comma, most = self.text[self.at + 1 : end].partition(",")
        if not _is_number(least) or (most and not _is_number(most)):
            # Braces that are no count stand for themselves.
            return None
        self.at = end + 1
        return int(least), int(most) if most else (None if comma else int(least))

    # -- single things

    def _atom(self, depth: int) -> Program | None:
        """What stands at this place; None for what can't be repeated, because it only sets flags or is a repetition."""
        letter = self._peek()
        if letter in "*+?":
            return None
        self.at += 1
        simple: dict[str, Callable[[], Program]] = {
            "^": lambda: (Assert("^" if self.flags.lines else "A"),),
            "$": lambda: (Assert("$" if self.flags.lines else "z"),),
            ".": lambda: (Take(Characters(() if self.flags.dot_all else ((10, 10),), negated=True)),),
            "[": self._bracket,
            "\\": self._escape,
        }
        if letter == "(":
            return self._group(depth)
        return simple[letter]() if letter in simple else self._literal(letter)

    def _literal(self, letter: str) -> Program:
        return (Take(Characters(((ord(letter), ord(letter)),), any_case=self.flags.any_case)),)

    def _group(self, depth: int) -> Program | None:
        outer = self.flags
        if self._took("?"):
            if self._took("P<") or (self._peek() == "<" and self._peek(2) not in ("<=", "<!") and self._took("<")):
                name, closed, _ = self.text[self.at :].partition(">")
                if not closed or not name.isidentifier():
                    raise self._wrong("invalid named capture")
                self.at += len(name) + 1
            elif not self._take_flags():
                # `(?i)` holds to the end of the group around it.
                return ()
        found = self.alternatives(depth + 1)
        if not self._took(")"):
            raise self._wrong("missing closing )")
        self.flags = outer
        return found

    def _take_flags(self) -> bool:
        """Read `i-s:` or `i)`; whether a group follows."""
        begin, on = self.at, True
        names = {"i": "any_case", "m": "lines", "s": "dot_all", "U": "lazy"}
        while self.at < len(self.text):
            letter = self._next()
            if letter in names:
                self.flags = replace(self.flags, **{names[letter]: on})
            elif letter == "-" and on:
                on = False
            elif letter in ":)":
                return letter == ":"
            else:
                break
        raise self._wrong("invalid or unsupported Perl syntax", f"(?{self.text[begin : self.at]}")

    def _escape(self) -> Program:
        if self._took("Q"):
            quoted, _, _ = self.text[self.at :].partition("\\E")
            self.at = min(self.at + len(quoted) + 2, len(self.text))
            return tuple(step for letter in quoted for step in self._literal(letter))
        if self._peek() in ("A", "z", "b", "B") and self._peek():
            return (Assert(self._next()),)
        if (wide := self._wide()) is not None:
            return (Take(replace(wide, any_case=self.flags.any_case)),)
        return self._literal(chr(self._code_point()))

    def _wide(self) -> Characters | None:
        r"""A class such as `\d` or `\pL`; None where there is none."""
        letter = self._peek()
        if letter and letter in _CLASSES:
            self.at += 1
            return Characters(_CLASSES[letter])
        if letter not in ("p", "P"):
            return None
        self.at += 1
        if self._took("{"):
            name, closed, _ = self.text[self.at :].partition("}")
            self.at += len(name) + 1
        else:
            name, closed = self._next(), "}"
        meant = letter == "p"
        if name.startswith("^"):
            name, meant = name[1:], not meant
        if not closed or name not in CATEGORIES:
            raise self._wrong("invalid character class range", f"\\{letter}{{{name}}}")
        return Characters((), ((name, meant),))

    def _code_point(self) -> int:
        begin, letter = self.at, self._next()
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter == "x":
            digits = self.text[self.at + 1 : self.text.find("}", self.at)] if self._peek() == "{" else self._peek(2)
            self.at += len(digits) + (2 if self._peek() == "{" else 0)
            try:
                return ord(chr(int(digits, 16)))
            except (ValueError, OverflowError):
                raise self._wrong("invalid escape sequence", f"\\{self.text[begin : self.at]}") from None
        if letter.isascii() and letter.isalnum():
            octal = letter + self._peek(2)
            if letter == "0" or (letter in "1234567" and len(octal) == 3 and set(octal) <= set("01234567")):
                digits = "".join(each for each in octal if each in "01234567")
                self.at = begin + len(digits)
                return int(digits, 8)
            raise self._wrong("invalid escape sequence", f"\\{letter}")
        return ord(letter)

    def _bracket(self) -> Program:
        begin, negated = self.at - 1, self._took("^")
        ranges: list[Range] = []
        categories: list[tuple[str, bool]] = []
        first = True
        while first or self._peek() != "]":
            if self.at >= len(self.text):
                raise self._wrong("missing closing ]", self.text[begin:])
            first = False
            known = self._posix() or (self._took("\\") and self._wide_or_back()) or None
            if known is not None:
                ranges += known.ranges
                categories += known.categories
                continue
            low = self._member()
            high = low
            if self._peek() == "-" and self._peek(2) not in ("-", "-]"):
                self.at += 1
                high = self._member()
            if high < low:
                raise self._wrong("invalid character class range", f"{chr(low)}-{chr(high)}")
            ranges.append((low, high))
        self.at += 1
        return (Take(Characters(tuple(ranges), tuple(categories), negated, self.flags.any_case)),)

    def _wide_or_back(self) -> Characters | None:
        found = self._wide()
        self.at -= 0 if found is not None else 1
        return found

    def _posix(self) -> Characters | None:
        if not self.text.startswith("[:", self.at) or (end := self.text.find(":]", self.at)) < 0:
            return None
        name = self.text[self.at + 2 : end]
        if name.lstrip("^") not in POSIX:
            raise self._wrong("invalid character class range", f"[:{name}:]")
        self.at = end + 2
        ranges = POSIX[name.lstrip("^")]
        return Characters(inverted(ranges) if name.startswith("^") else ranges)

    def _member(self) -> int:
        return self._code_point() if self._took("\\") else ord(self._next())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
