"""Quoting in shell scripts: which part of a command is quoted how, and values filled into commands.

The commands of a step may contain `{{matrix.x}}`, whose values come from the same file. A value that is more than a
word is inserted so that the shell reads it as the text that it is, wherever the template stands.
"""

from __future__ import annotations

import re
import shlex
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from controller.pipeline.templates import substitute


class Quoting(Enum):
    """How a shell reads a part of a script."""

    NONE = auto()
    DOUBLE = auto()
    """In double quotes: expansions work."""
    SINGLE = auto()
    HEREDOC = auto()
    """In a here-document: expansions work, quotes are text."""
    LITERAL = auto()
    """In a comment, or in a here-document whose delimiter is quoted: nothing is expanded."""


_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SPECIAL = re.compile(r"\\|\$?'|\"|`|\$?\(|\)|#|\n|<<+-?")
_SPECIAL_IN_DOUBLE = re.compile(r"\\|\"|`|\$\(")
_SINGLE_END = re.compile("[^']*'")
_ANSI_END = re.compile(r"(?s)(?:[^\\']|\\.)*+'")
_DELIMITER = re.compile(r"[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|(\\?)([A-Za-z_][\w.-]*))")
_BEFORE_COMMENT = " \t\n;&|()"
_EXPANDED = re.compile(r"[\\$`]")
_EXPANDED_IN_DOUBLE = re.compile(r"[\\$`\"]")


@dataclass(frozen=True)
class QuotedScript:
    """A script with the quoting of each of its parts."""

    text: str
    starts: Sequence[int]
    """Where each part begins, in ascending order; the first begins at 0."""
    quotings: Sequence[Quoting]
    is_closed: bool
    """Whether every quote, substitution and here-document that begins in it also ends in it."""

    def quoting_at(self, offset: int) -> Quoting:
        """The quoting of the character at an offset."""
        return self.quotings[bisect_right(self.starts, offset) - 1]

    def masked(self, *shown: Quoting) -> str:
        """The script with every part replaced by `_` that is not quoted in one of the given ways.

        Line breaks and offsets stay as they are.
        """
        return "".join(part if quoting in shown else re.sub(r"[^\n]", "_", part) for part, quoting in self.parts())

    def parts(self) -> Iterator[tuple[str, Quoting]]:
        """The parts of the script in order."""
        ends = [*self.starts[1:], len(self.text)]
        for start, end, quoting in zip(self.starts, ends, self.quotings, strict=True):
            yield self.text[start:end], quoting


def parse_quoting(script: str) -> QuotedScript:
    """The quoting of the parts of a script, in time that is linear in its length.

    It follows POSIX quoting, comments, command substitutions and here-documents. What a shell would reject, such as
    quotes that are not closed, is read as if it ended with the script.
    """
    scanner = _Scanner(script)
    scanner.run()
    return QuotedScript(script, scanner.starts, scanner.quotings, scanner.is_closed)


@dataclass
class _Scanner:
    script: str
    position: int = 0
    starts: list[int] = field(default_factory=lambda: [0])
    quotings: list[Quoting] = field(default_factory=lambda: [Quoting.NONE])
    nested: list[str] = field(default_factory=list)
    """What is open around the position: `(`, a backquote, or a double quote."""
    heredocs: list[tuple[str, bool, bool]] = field(default_factory=list)
    """Here-documents that begin after this line: the delimiter, whether it is quoted, whether tabs are stripped."""
    is_cut_off: bool = False
    """Whether the script has ended in the middle of a quoted text, a here-document or an escape."""

    @property
    def is_closed(self) -> bool:
        return not (self.is_cut_off or self.nested or self.heredocs or self.position > len(self.script))

    def run(self) -> None:
        while self.position < len(self.script):
            in_double = bool(self.nested) and self.nested[-1] == '"'
            found = (_SPECIAL_IN_DOUBLE if in_double else _SPECIAL).search(self.script, self.position)
            if found is None:
                return
            self.position = found.end()
            if in_double:
                self._read_in_double(found.group())
            else:
                self._read(found.group(), found.start())

    def _read_in_double(self, symbol: str) -> None:
        if symbol == "\\":
            self.position += 1
        elif symbol == '"':
            self.nested.pop()
            self._mark(self.position - 1, self._outer())
        else:
            self.nested.append(symbol[-1])
            self._mark(self.position, Quoting.NONE)

    def _outer(self) -> Quoting:
        return Quoting.DOUBLE if self.nested and self.nested[-1] == '"' else Quoting.NONE

    def _read(self, symbol: str, start: int) -> None:
        if symbol == "\\":
            self.position += 1
        elif symbol in ("'", "$'"):
            self._skip_quoted(_ANSI_END if symbol == "$'" else _SINGLE_END, Quoting.SINGLE)
        elif symbol == '"':
            self.nested.append('"')
            self._mark(self.position, Quoting.DOUBLE)
        elif symbol in ("(", "$("):
            self.nested.append("(")
        elif symbol in (")", "`"):
            self._close(symbol)
        elif symbol == "#":
            if start == 0 or self.script[start - 1] in _BEFORE_COMMENT:
                self._skip_to(self._line_end(start), Quoting.LITERAL)
        elif symbol == "\n":
            self._read_heredocs()
        elif symbol in ("<<", "<<-"):
            self._add_heredoc(strips_tabs=symbol == "<<-")

    def _close(self, symbol: str) -> None:
        opening = "(" if symbol == ")" else "`"
        if self.nested and self.nested[-1] == opening:
            self.nested.pop()
            self._mark(self.position, self._outer())
        elif symbol == "`":
            self.nested.append("`")

    def _add_heredoc(self, *, strips_tabs: bool) -> None:
        delimiter = _DELIMITER.match(self.script, self.position)
        if delimiter is not None and "(" not in self.nested[-1:]:
            word = delimiter.group(1) or delimiter.group(2) or delimiter.group(4)
            self.heredocs.append((word, not delimiter.group(4) or bool(delimiter.group(3)), strips_tabs))
            self.position = delimiter.end()

    def _read_heredocs(self) -> None:
        """Read the bodies of the here-documents whose line has just ended."""
        for delimiter, quoted, strips_tabs in self.heredocs:
            start = line = self.position
            while line < len(self.script):
                end = self._line_end(line)
                text = self.script[line:end]
                if (text.lstrip("\t") if strips_tabs else text) == delimiter:
                    break
                line = end + 1
            self.is_cut_off = self.is_cut_off or line >= len(self.script)
            self.position = start
            self._skip_to(min(line, len(self.script)), Quoting.LITERAL if quoted else Quoting.HEREDOC)
            self.position = self._line_end(self.position)
        self.heredocs = []

    def _line_end(self, start: int) -> int:
        end = self.script.find("\n", start)
        return len(self.script) if end < 0 else end

    def _skip_quoted(self, closing: re.Pattern[str], quoting: Quoting) -> None:
        found = closing.match(self.script, self.position)
        end = found.end() - 1 if found is not None else len(self.script)
        self.is_cut_off = self.is_cut_off or found is None
        self._skip_to(end, quoting)
        self.position = end + 1

    def _skip_to(self, end: int, quoting: Quoting) -> None:
        self._mark(self.position, quoting)
        self._mark(end, Quoting.NONE)
        self.position = end

    def _mark(self, start: int, quoting: Quoting) -> None:
        """Set the quoting from an offset on."""
        if start >= len(self.script) and start:
            return
        if self.starts[-1] == start:
            self.quotings[-1] = quoting
        else:
            self.starts.append(start)
            self.quotings.append(quoting)


def quote(value: str, quoting: Quoting) -> str:
    """A value, without line breaks, written so that a shell reads it as text in a part with this quoting."""
    if _WORD.fullmatch(value):
        return value
    if quoting is Quoting.SINGLE:
        return value.replace("'", "'\\''")
    if quoting is Quoting.DOUBLE:
        return _EXPANDED_IN_DOUBLE.sub(r"\\\g<0>", value)
    if quoting is Quoting.HEREDOC:
        return _EXPANDED.sub(r"\\\g<0>", value)
    return value if quoting is Quoting.LITERAL else shlex.quote(value)


def fill_commands(commands: Sequence[str], matrix: Mapping[str, str]) -> list[str]:
    """The commands with `{{matrix.x}}` replaced by the values of a combination, quoted where they are not a word."""
    values = {f"matrix.{name}": value for name, value in matrix.items()}
    return [_fill(command, values) if values and "{{" in command else command for command in commands]


def _fill(command: str, values: Mapping[str, str]) -> str:
    script = parse_quoting(command)
    return substitute(
        command, lambda name, offset: quote(values[name], script.quoting_at(offset)) if name in values else None
    )
