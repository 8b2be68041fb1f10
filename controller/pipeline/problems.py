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

_LONGEST_WORD = 60
_LONGEST_MESSAGE = 600
# What would move the cursor, colour the terminal, start a line or turn the reading direction round.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


@dataclass(frozen=True)
class Problem:
    """`line` and `column` count from 1; `path` is like `steps[2].dependsOn[0]`; `code` is stable kebab-case."""

    line: int
    column: int
    path: str
    severity: Severity
    code: str
    message: str
    hint: str = ""


def safe(text: str, longest: int = _LONGEST_MESSAGE) -> str:
    """The text on one line, without characters that do something to a terminal, and not longer than that."""
    clean = _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text[: longest + 1])
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def quoted(text: str) -> str:
    """A word as messages show it, shortened."""
    return f"`{safe(text, _LONGEST_WORD)}`"


def listed(words: Iterable[str], most: int = 8) -> str:
    """Words in a row; of many the first."""
    every = list(words)
    shown = ", ".join(safe(word, _LONGEST_WORD) for word in every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"


def spoken_path(path: Path) -> str:
    """`("steps", 2, "dependsOn", 0)` as `steps[2].dependsOn[0]`."""
    text = ""
    for part in path:
        word = part if isinstance(part, int) else safe(part, _LONGEST_WORD)
        text += f"[{word}]" if isinstance(part, int) else f".{word}" if text else str(word)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a likely typo, or nothing."""
    if len(word) > _LONGEST_WORD:
        # Comparing takes the square of the length, and nobody mistypes a word of this length.
        return ""
    choices = [choice for choice in known if choice != word and len(choice) <= 2 * _LONGEST_WORD]
    same = [choice for choice in choices if choice.lower() == word.lower()]
    found = same or difflib.get_close_matches(word, choices, 1, 0.6)
    return f"did you mean `{found[0]}`?" if found else ""


@dataclass(frozen=True)
class Places:
    """Where things stand in the text: values by their path, keys by the path of their value."""

    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]

    def of(self, path: Sequence[str | int]) -> Position:
        """The position of a value, or of the nearest thing around it."""
        here = tuple(path)
        while here and here not in self.values:
            here = here[:-1]
        return self.values.get(here, (1, 1))

    def of_key(self, path: Sequence[str | int]) -> Position:
        """The position of the key whose value has this path."""
        return self.keys.get(tuple(path)) or self.of(path)

    def problem(
        self,
        path: Sequence[str | int],
        code: str,
        message: str,
        hint: str = "",
        *,
        severity: Severity = "error",
        at_key: bool = False,
    ) -> Problem:
        """A problem at a path; its text is made safe to show."""
        position = self.of_key(path) if at_key else self.of(path)
        return problem_at(position, code, message, hint, path=tuple(path), severity=severity)


def problem_at(
    position: Position, code: str, message: str, hint: str = "", *, path: Path = (), severity: Severity = "error"
) -> Problem:
    """A problem at a position; its text is made safe to show."""
    return Problem(*position, spoken_path(path), severity, code, safe(message), safe(hint))
