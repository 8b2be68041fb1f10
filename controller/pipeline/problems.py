"""What lint finds: one problem with its place, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
Path = tuple[str | int, ...]
Position = tuple[int, int]


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


def spoken_path(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a likely typo, or nothing."""
    choices = list(known)
    found = difflib.get_close_matches(word, choices, 1, 0.6) or [c for c in choices if c.lower() == word.lower()][:1]
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
        line, column = self.of_key(path) if at_key else self.of(path)
        return Problem(line, column, spoken_path(tuple(path)), severity, code, message, hint)
