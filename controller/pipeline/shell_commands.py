"""Tells where one command of a step ends and the next may begin: the commands of a step are one script of a shell.

An entry of `commands` may hold a part of a command only, such as `for f in *; do`, whose rest follows in later ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from controller.pipeline.shell import Quoting, parse_quoting

MAX_TEXT_LENGTH = 120
"""Characters of a command's description."""
_TEXT = frozenset({Quoting.SINGLE, Quoting.HEREDOC, Quoting.LITERAL})
_OPENING = frozenset({"if", "while", "until", "for", "select", "case", "{"})
_CLOSING = frozenset({"fi", "done", "esac", "}"})
_CONTINUING = frozenset({"then", "do", "else", "elif", "in", "!", "time", "if", "while", "until", "{"})
"""Words after which another command begins."""
_WORD = re.compile(r"[^\s;&|()<>`]+|[;&|()`\n]")
_FUNCTION = re.compile(r"(?:\(\s*\)|(?:^|[\s;&|])function\s+\S+)\s*\Z")
_MAX_LENGTH = 8192
"""Characters of several entries that may make one command: each further entry has all of them read again."""
_OPERATOR_AT_END = re.compile(r"[&|][\s#]*\Z")


def _has_operator_before_heredoc(text: str) -> bool:
    """Whether a line with `<<` ends with `&` or `|`."""
    return any("<<" in line and line.rstrip(" \t").endswith(("&", "|")) for line in text.split("\n"))


def command_starts(commands: Sequence[str]) -> list[int]:
    """The indexes of the entries that begin where a shell expects a new command, the first among them.

    In doubt an entry is counted to the one before it. There are no more after a command that redirects the output of
    the whole shell (`exec >file`), and none after one whose end is not found within `_MAX_LENGTH`.
    """
    starts: list[int] = []
    waiting: list[str] = []
    for index, command in enumerate(commands):
        if not waiting:
            starts.append(index)
        waiting.append(command)
        if len(waiting) > 1 and sum(map(len, waiting)) > _MAX_LENGTH:
            break
        words = _CommandWords("\n".join(waiting))
        if words.replaces_shell or words.depth < 0:
            break
        if words.is_complete:
            waiting = []
    return starts


def describe_command(command: str) -> str:
    """The first line of a command that is not empty, without control characters, shortened: fit for a message.

    It ends in ` …` if the command has more lines: any of them may be the one that failed.
    """
    lines = [line for line in command.splitlines() if line.strip()]
    for line in lines[:1]:
        text = "".join(each if each.isprintable() else " " for each in line[: 2 * MAX_TEXT_LENGTH]).strip()
        if len(text) > MAX_TEXT_LENGTH:
            return text[: MAX_TEXT_LENGTH - 1] + "…"
        return f"{text[: MAX_TEXT_LENGTH - 2]} …" if len(lines) > 1 else text
    return ""


class _CommandWords:
    """What the words of a script, at the places where commands begin, say about it.

    Attributes:
        depth: the number of compound commands that are open at its end; below 0 if more are closed than opened.
    """

    def __init__(self, script: str) -> None:
        quoted = parse_quoting(script)
        self._is_closed = quoted.is_closed
        self._text = quoted.masked(Quoting.NONE)
        self._executed = "".join(part for part, quoting in quoted.parts() if quoting not in _TEXT)
        self.depth = 0
        self.replaces_shell = False
        self._read()

    @property
    def is_complete(self) -> bool:
        return (
            self._is_closed
            and self.depth == 0
            and _OPERATOR_AT_END.search(self._executed) is None
            and self._executed.count("${") <= self._executed.count("}")
            and _FUNCTION.search(self._text) is None
            and not _has_operator_before_heredoc(self._text)
        )

    def _read(self) -> None:
        begins = True
        for match in _WORD.finditer(self._text):
            word = match.group()
            if word in ";&|()`\n":
                begins = True
                continue
            if not begins:
                continue
            self.depth += (word in _OPENING) - (word in _CLOSING)
            if self.depth < 0:
                return
            self.replaces_shell = self.replaces_shell or word == "exec"
            begins = word in _CONTINUING
