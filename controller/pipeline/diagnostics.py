"""What lint finds: one problem with its place, and what would be right.

Messages quote what people wrote, so this is also where such text is made
safe: no control characters, no text that reads backwards, no walls of words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
Path = tuple[str | int, ...]
Position = tuple[int, int]

_MAX_WORD_LENGTH = 60
_MAX_MESSAGE_LENGTH = 600
# What would move the cursor, colour the terminal, start a line or turn the reading direction round.
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
    """The text on one line, without characters that do something to a terminal, and not longer than that."""
    clean = _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text[: max_length + 1])
    return clean if len(clean) <= max_length else clean[: max_length - 1] + "…"


def quote(text: str) -> str:
    """A word as messages show it, shortened."""
    return f"`{sanitize(text, _MAX_WORD_LENGTH)}`"


def join_words(words: Iterable[str], max_words: int = 8) -> str:
    """Words in a row; of many the first."""
    every = list(words)
    shown = ", ".join(sanitize(word, _MAX_WORD_LENGTH) for word in every[:max_words])
    return shown if len(every) <= max_words else f"{shown} and {len(every) - max_words} more"


def format_path(path: Path) -> str:
    """`("steps", 2, "dependsOn", 0)` as `steps[2].dependsOn[0]`."""
    text = ""
    for part in path:
        word = part if isinstance(part, int) else sanitize(part, _MAX_WORD_LENGTH)
        text += f"[{word}]" if isinstance(part, int) else f".{word}" if text else str(word)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a likely typo, or nothing."""
    if len(word) > _MAX_WORD_LENGTH:
        # Comparing takes the square of the length, and nobody mistypes a word of this length.
        return ""
    choices = [choice for choice in known if choice != word and len(choice) <= 2 * _MAX_WORD_LENGTH]
    same = [choice for choice in choices if choice.lower() == word.lower()]
    found = same or difflib.get_close_matches(word, choices, 1, 0.6)
    return f"did you mean `{found[0]}`?" if found else ""


@dataclass(frozen=True)
class SourceMap:
    """Where things stand in the text: values by their path, keys by the path of their value."""

    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]

    def value_position(self, path: Sequence[str | int]) -> Position:
        """The position of a value, or of the nearest thing around it."""
        here = tuple(path)
        while here and here not in self.values:
            here = here[:-1]
        return self.values.get(here, (1, 1))

    def key_position(self, path: Sequence[str | int]) -> Position:
        """The position of the key whose value has this path."""
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
        """A problem at a path; its text is made safe to show."""
        position = self.key_position(path) if at_key else self.value_position(path)
        return diagnostic_at(position, code, message, hint, path=tuple(path), severity=severity)


def diagnostic_at(
    position: Position, code: str, message: str, hint: str = "", *, path: Path = (), severity: Severity = "error"
) -> Diagnostic:
    """A problem at a position; its text is made safe to show."""
    return Diagnostic(*position, format_path(path), severity, code, sanitize(message), sanitize(hint))
