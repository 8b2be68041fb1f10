"""The summary of an archived log: stored beside it and repeated in the run's status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.logs.errors import BadArchiveError
from controller.logs.model import CommandStart

if TYPE_CHECKING:
    from controller.run_types.objects import FirstFailure, LogSummary


@dataclass(frozen=True)
class Failure:
    """The first line that explains a failure: its number and its shortened, sanitized text.

    `file` and `file_line` are the source location that it names, if any.
    """

    line: int
    text: str
    file: str | None = None
    file_line: int | None = None


@dataclass(frozen=True)
class Summary:
    """`size` is the size of the masked output in bytes, `sha256` its digest in hex; `gaps` is the number of gaps.

    `failure` and `last_line` are those of a failed container; otherwise None. `commands` are those that have started
    of a step with several.
    """

    lines: int
    size: int
    sha256: str
    gaps: int = 0
    failure: Failure | None = None
    last_line: str | None = None
    commands: tuple[CommandStart, ...] = ()

    def to_json(self) -> bytes:
        """The summary as it is stored."""
        document: dict[str, Any] = {
            "lines": self.lines,
            "bytes": self.size,
            "sha256": self.sha256,
            "gaps": self.gaps,
            "firstFailure": self._failure_document(),
            "lastLine": self.last_line,
        }
        if self.commands:
            document["commands"] = self.commands
        return json.dumps(document, separators=(",", ":")).encode()

    def to_status(self) -> LogSummary:
        """The `log` object of an attempt's status."""
        found: LogSummary = {"lines": self.lines, "bytes": self.size, "sha256": self.sha256, "archived": True}
        if (failure := self._failure_document()) is not None:
            found["firstFailure"] = failure
        if self.last_line:
            found["lastLine"] = self.last_line
        if self.commands:
            found["lastCommand"] = self.commands[-1].command
        return found

    def _failure_document(self) -> FirstFailure | None:
        if self.failure is None:
            return None
        found: FirstFailure = {"line": self.failure.line, "text": self.failure.text}
        if self.failure.file is not None and self.failure.file_line is not None:
            found["file"] = self.failure.file
            found["fileLine"] = self.failure.file_line
        return found


def parse_summary(document: bytes, key: str) -> Summary:
    """Parses a stored summary. Raises BadArchiveError if it is malformed."""
    try:
        found = json.loads(document)
        failure = found["firstFailure"]
        return Summary(
            int(found["lines"]),
            int(found["bytes"]),
            str(found["sha256"]),
            int(found["gaps"]),
            None if failure is None else _parse_failure(failure),
            found.get("lastLine"),
            tuple(CommandStart(*map(int, each)) for each in found.get("commands") or ()),
        )
    except (ValueError, KeyError, TypeError) as problem:
        raise BadArchiveError(f"the log summary {key} is not readable ({type(problem).__name__})") from None


def _parse_failure(found: dict[str, Any]) -> Failure:
    """Summaries written before source locations were recognised have none."""
    line = found.get("fileLine")
    return Failure(int(found["line"]), str(found["text"]), found.get("file"), None if line is None else int(line))
