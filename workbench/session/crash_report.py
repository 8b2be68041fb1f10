"""Crash reports of the workbench, for bug reports: the traceback without private data.

They contain no local variables, logs or pipelines, and text that looks like a secret
is redacted.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controller.files import write_private

_MARK = "last"
"""The file with the name of the newest report, until it was announced."""
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",]+"), r"\1 ***"),
    (re.compile(r"(?i)((?:token|password|passwd|secret|api[-_]?key|authorization)[\w.-]{0,100}+['\"]?\s*+[:=]\s*+)"
                r"('[^']*'|\"[^\"]*\"|(?!\*\*\*|(?:bearer|basic)\s)[^\s,;)}\]]+)"), r"\1***"),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), "***"),
    (re.compile(r"\b[A-Za-z0-9+_=-]{32,}"), "***"),
)  # fmt: skip
_MAX_LINE = 4_000


@dataclass(frozen=True)
class Crash:
    """A crash of the app: a summary in one line and the text of the report."""

    summary: str
    text: str
    path: Path | None
    """Where the report was written; None if it was not."""
    problem: str | None = None
    """Why it could not be written."""


def format_crash_report(error: BaseException, facts: Mapping[str, str], at: datetime, home: Path | None) -> str:
    """The text of a report. `facts` are versions and the like; `home` is written as `~`."""
    lines = ["c8s workbench crash report", f"time: {at.isoformat(timespec='seconds')}"]
    lines += [f"{name}: {value}" for name, value in facts.items()]
    trace = "".join(_cut(line) for line in traceback.format_exception(error))
    text = "\n".join([*lines, "", trace])
    return redact(text if home is None else text.replace(str(home), "~"))


def redact(text: str) -> str:
    """Replace everything that looks like a secret by `***`."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def save_report(folder: Path, text: str, at: datetime, *, announce: bool = True) -> Path:
    """Write a private report file; with `announce`, mark it for the next start. Raises OSError."""
    path = folder / f"crash-{at:%Y%m%d-%H%M%S-%f}.txt"
    write_private(path, text.encode("utf-8", "backslashreplace"))
    if announce:
        write_private(folder / _MARK, path.name)
    return path


def take_unseen_report(folder: Path) -> Path | None:
    """The report of the last crash, if it was not announced yet; it is marked as announced."""
    mark = folder / _MARK
    try:
        path = folder / Path(mark.read_text(encoding="utf-8").strip()).name
        mark.unlink()
    except (OSError, UnicodeDecodeError):
        return None
    return path if path.is_file() else None


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_LINE else line[:_MAX_LINE] + " …\n"
