"""The sections of a log: the commands of the step, and the groups that programs mark in their output.

Groups are those of GitHub Actions (`::group::title`, `::endgroup::`), GitLab (`section_start:…`, `section_end:…`) and
Buildkite (`--- title`, `~~~ title`, `+++ title`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from workbench.client.models import CommandStarted
from workbench.logs.log_file import LogFile

_MARKER = re.compile(
    rb"^(?:::group::(?P<group>[^\n]*)|(?P<endgroup>::endgroup::)[^\n]*"
    rb"|(?:\x1b\[0K)?section_start:[0-9]{1,20}:(?P<section>[\w.-]{1,200})(?P<options>\[[^\]\n]{0,200}\])?"
    rb"\r(?:\x1b\[0K)?(?P<header>[^\n]*)"
    rb"|(?:\x1b\[0K)?section_end:[0-9]{1,20}:(?P<endsection>[\w.-]{1,200})[^\n]*"
    rb"|(?P<buildkite>---|~~~|\+\+\+) (?P<title>[^\n]*))$",
    re.MULTILINE,
)
_MAX_TITLE_BYTES = 500
MAX_GROUPS = 20_000
"""Groups of one log that are recognised; further markers are ordinary lines."""


@dataclass(frozen=True)
class Section:
    """Consecutive lines under a heading.

    Attributes:
        first: the first line (from 0); of a group, the line with its marker, which is shown as the heading.
        end: the line after the last one; None while the section goes on.
        title: the command, or the title of the group, as it was printed: it may contain control characters.
        start: when it began, in microseconds since 1970; None if unknown.
        stop: when it ended.
        exit_code: of a command that has ended.
        collapsed: whether the program asked for it to be folded.
        has_end_marker: whether its last line is the marker of its end, which is not shown.
    """

    kind: Literal["command", "group"]
    first: int
    end: int | None
    title: str
    start: int | None = None
    stop: int | None = None
    exit_code: int | None = None
    collapsed: bool = False
    has_end_marker: bool = False


@dataclass(frozen=True)
class _Marker:
    line: int
    title: str | None
    """The title of the group that begins here; None if one ends."""
    name: str = ""
    """GitLab's name of the section, which its end repeats; empty for the other forms."""
    collapsed: bool = False


class GroupScanner:
    """Finds the markers of groups in a log that may still grow.

    `advance` may be called in a thread; the groups found so far are available at any time.
    """

    def __init__(self, log: LogFile) -> None:
        self.log = log
        self.scanned = 0
        """How many lines have been searched."""
        self._markers: list[_Marker] = []

    @property
    def complete(self) -> bool:
        return self.scanned >= len(self.log)

    def advance(self) -> bool:
        """Search the next block of lines; False if there is none.

        Raises:
            LogFileError: the log cannot be read.
        """
        data, until = self.log.block(self.scanned)
        if until == self.scanned:
            return False
        if len(self._markers) < MAX_GROUPS:
            self._markers += _find_markers(data, self.scanned)
        self.scanned = until
        return True

    @property
    def marker_count(self) -> int:
        """How many markers were found so far."""
        return len(self._markers)

    def groups(self) -> list[Section]:
        """The groups found so far, in order of their first lines."""
        return _pair_markers(_without_diffs(self._markers))


def _find_markers(data: bytes, first: int) -> list[_Marker]:
    found: list[_Marker] = []
    line, counted = first, 0
    for match in _MARKER.finditer(data):
        line += data.count(b"\n", counted, match.start())
        counted = match.start()
        if match["endgroup"] is not None:
            found.append(_Marker(line, None))
        elif match["endsection"] is not None:
            found.append(_Marker(line, None, match["endsection"].decode()))
        elif match["section"] is not None:
            name = match["section"].decode()
            collapsed = b"collapsed=true" in (match["options"] or b"")
            found.append(_Marker(line, _text(match["header"]) or name, name, collapsed))
        elif match["group"] is not None:
            found.append(_Marker(line, _text(match["group"])))
        else:
            found.append(_Marker(line, _text(match["title"]), match["buildkite"].decode()))
    return found


def _text(title: bytes) -> str:
    return title[:_MAX_TITLE_BYTES].decode("utf-8", "replace").strip()


def _without_diffs(markers: Sequence[_Marker]) -> list[_Marker]:
    """The markers without `--- a/file` and `+++ b/file` of a diff, which follow each other."""
    dropped: set[int] = set()
    for before, after in pairwise(markers):
        if (before.name, after.name) == ("---", "+++") and after.line == before.line + 1:
            dropped |= {before.line, after.line}
    return [marker for marker in markers if marker.line not in dropped]


def _pair_markers(markers: Iterable[_Marker]) -> list[Section]:
    """Groups nest by GitLab's names only; of the other forms each group ends where the next one begins."""
    found: list[Section] = []
    open_groups: list[tuple[str, int]] = []

    def close(name: str, end: int, *, at_marker: bool) -> None:
        """End the last open group of this name, and those within it."""
        names = [each for each, _ in open_groups]
        if name not in names:
            return
        at = len(names) - 1 - names[::-1].index(name)
        for _, index in open_groups[at:]:
            found[index] = replace(found[index], end=end, has_end_marker=at_marker)
        del open_groups[at:]

    for marker in markers:
        name = "---" if marker.name in ("~~~", "+++") else marker.name
        if marker.title is None:
            close(name, marker.line + 1, at_marker=True)
            continue
        if name in ("", "---"):
            close(name, marker.line, at_marker=False)
        open_groups.append((name, len(found)))
        found.append(Section("group", marker.line, None, marker.title, collapsed=marker.collapsed))
    return found


def command_sections(
    commands: Sequence[CommandStarted], *, ended: bool, stop: int | None, exit_code: int | None
) -> list[Section]:
    """The sections of commands that have started.

    Args:
        ended: whether the step's container has ended.
        stop: when it ended, in microseconds since 1970.
        exit_code: its exit code, which is that of the last command.
    """
    found: list[Section] = []
    for position, started in enumerate(commands):
        following = commands[position + 1] if position + 1 < len(commands) else None
        found.append(
            Section(
                "command",
                started.line - 1,
                following.line - 1 if following is not None else None,
                started.text,
                start=started.time,
                stop=following.time if following is not None else stop if ended else None,
                exit_code=0 if following is not None else exit_code if ended else None,
            )
        )
    return found


def merge_sections(commands: Sequence[Section], groups: Sequence[Section]) -> list[Section]:
    """All sections, each before those within it. A group ends at the latest with its command."""
    merged = list(commands)
    bounds = [section.first for section in commands]
    position = 0
    for group in groups:
        while position < len(bounds) and bounds[position] <= group.first:
            position += 1
        limit = bounds[position] if position < len(bounds) else None
        ends = [end for end in (group.end, limit) if end is not None]
        end = min(ends, default=None)
        merged.append(replace(group, end=end, has_end_marker=group.has_end_marker and end == group.end))
    return sorted(merged, key=lambda section: (section.first, section.kind == "group"))
