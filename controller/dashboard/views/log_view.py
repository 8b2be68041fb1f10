"""A range of a log as its page shows it: cut at the commands, of which those that went well are folded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from controller.api.runs.pagination import parse_time
from controller.dashboard.views.log_html import rows_html
from controller.logs import Block, Line, LogReader, Stream
from controller.text_format import format_duration

PAGE_LINES = 500
BEFORE = 20
"""Lines that are shown before one that was asked for."""
MAX_HITS = 200


@dataclass(frozen=True)
class LogSection:
    """The lines of one command; `title` is None for those before the first, and of steps with one command."""

    title: str | None
    note: str
    open: bool
    html: Markup


@dataclass(frozen=True)
class LogView:
    """Some lines. `total` is the number of all of them, if that is known."""

    sections: tuple[LogSection, ...] = ()
    first: int = 1
    last: int = 0
    total: int | None = None
    has_more: bool = False

    @property
    def previous(self) -> int:
        return max(1, self.first - PAGE_LINES + BEFORE)

    @property
    def next(self) -> int:
        return self.last + 1


async def read_range(logs: LogReader, stream: Stream, first: int, tail: int | None = None) -> tuple[list[Line], bool]:
    """Up to `PAGE_LINES` lines from this number on, or the last `tail`, and whether there are more after them.

    Raises LogNotFoundError.
    """
    found: list[Line] = []
    async with aclosing(logs.blocks(stream, tail=tail, after=max(first - 1, 0))) as blocks:
        async for block in blocks:
            found += block.until_line(block.first + PAGE_LINES + 1 - len(found)).lines()
            if len(found) > PAGE_LINES:
                return found[:PAGE_LINES], True
    return found, False


async def search_lines(blocks: AsyncIterator[Block], text: str) -> tuple[list[Line], bool]:
    """The first `MAX_HITS` lines that contain the text in any case (of ASCII letters), and whether there are more."""
    wanted = text.lower().encode()
    found: list[Line] = []
    async for block in blocks:
        if wanted not in block.data.lower():
            continue
        found += [line for line in block.lines() if wanted in line.data.lower()]
        if len(found) > MAX_HITS:
            return found[:MAX_HITS], True
    return found, False


def build_log(
    lines: Sequence[Line],
    commands: Sequence[Mapping[str, Any]],
    *,
    base: str,
    failing: int | None,
    wanted: int | None,
    total: int | None,
    has_more: bool,
) -> LogView:
    """The view of these lines, which belong to `commands` as the REST API lists them.

    Args:
        base: the page of the log, for the links of line numbers.
        failing: the line that explains the failure.
        wanted: the line that was asked for: its command is unfolded.
    """
    if not lines:
        return LogView(total=total)
    first, last = lines[0].number, lines[-1].number
    begins = [max(int(command["line"]), 1) for command in commands]
    sections = []
    ends = [*begins, last + 1]
    if not begins or begins[0] > first:
        sections.append(LogSection(None, "", True, rows_html(_between(lines, first, ends[0]), base, failing)))
    for at, command in enumerate(commands):
        begin, end = begins[at], ends[at + 1]
        is_empty = begin == end or begin == last + 1
        if begin > last + 1 or (has_more and begin > last) or (begin < first if is_empty else end <= first):
            continue
        held = [line for line in (failing, wanted) if line is not None and begin <= line < end]
        is_open = command["exitCode"] != 0 or at == len(commands) - 1 or bool(held)
        rows = rows_html(_between(lines, begin, end), base, failing)
        sections.append(LogSection(str(command["text"]), _note(command), is_open, rows))
    return LogView(tuple(sections), first, last, total, has_more)


def _between(lines: Sequence[Line], begin: int, end: int) -> Sequence[Line]:
    first = lines[0].number
    return lines[max(begin - first, 0) : max(end - first, 0)]


def _note(command: Mapping[str, Any]) -> str:
    """How long the command took, and its exit code unless that is 0."""
    start, end = (parse_time(str(command[name] or "")) for name in ("startTime", "endTime"))
    taken = format_duration((end - start).total_seconds()) if start is not None and end is not None else "running"
    code = command["exitCode"]
    return taken + (f", exit code {code}" if code else "")
