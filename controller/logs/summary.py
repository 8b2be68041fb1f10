"""An archived log in numbers: what the store keeps beside it and the run's status repeats."""

import json
from dataclasses import dataclass
from typing import Any

from controller.logs.errors import BadArchiveError


@dataclass(frozen=True)
class Failure:
    """The first line that says what went wrong: its number, and its text made safe and short."""

    line: int
    text: str


@dataclass(frozen=True)
class Summary:
    """`size` is the masked output's in bytes, `sha256` its digest in hex; `gaps` counts where output is missing."""

    lines: int
    size: int
    sha256: str
    gaps: int = 0
    failure: Failure | None = None

    def document(self) -> bytes:
        """The summary object."""
        return json.dumps(
            {
                "lines": self.lines,
                "bytes": self.size,
                "sha256": self.sha256,
                "gaps": self.gaps,
                "firstFailure": self._failure(),
            },
            separators=(",", ":"),
        ).encode()

    def status(self) -> dict[str, Any]:
        """The `log` object of an attempt's status."""
        found = {"lines": self.lines, "bytes": self.size, "sha256": self.sha256, "archived": True}
        return found | ({"firstFailure": self._failure()} if self.failure else {})

    def _failure(self) -> dict[str, Any] | None:
        return {"line": self.failure.line, "text": self.failure.text} if self.failure else None


def read_summary(document: bytes, key: str) -> Summary:
    """The summary of a stored object. Raises BadArchiveError when it is none of ours."""
    try:
        found = json.loads(document)
        failure = found["firstFailure"]
        return Summary(
            int(found["lines"]),
            int(found["bytes"]),
            str(found["sha256"]),
            int(found["gaps"]),
            None if failure is None else Failure(int(failure["line"]), str(failure["text"])),
        )
    except (ValueError, KeyError, TypeError) as problem:
        raise BadArchiveError(f"the log summary {key} is not readable ({type(problem).__name__})") from None
