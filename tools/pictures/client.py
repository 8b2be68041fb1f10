"""The client of the sandbox's controller, with the times of `fixed_times` in place of those of runs and logs.

The folder of a step, whose name is random, is `/workspace` in its lines, as it is in a container.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from itertools import count
from statistics import median
from typing import Any

from tools.pictures.fixed_times import command_time, created_at, line_time, step_seconds, with_fixed_times
from workbench.client.client import Client
from workbench.client.decode import decode_run
from workbench.client.endpoint import Endpoint
from workbench.client.models import (
    Change,
    CommandStarted,
    Frame,
    LinePart,
    Lines,
    LogLine,
    Run,
    RunChanged,
    RunsListed,
    StepCommand,
    StreamKey,
)
from workbench.client.statistics import PipelineTrend, StepTrend

WORKSPACE = r"/\S+/volumes/workspace/"
"""The folder of a step in the sandbox."""


class FixedTimesClient(Client):
    """A client that changes times only. `names` are the runs in the order in which they were started."""

    def __init__(
        self, endpoint: Endpoint, names: Sequence[str], on_connection_error: Callable[[str | None], None]
    ) -> None:
        super().__init__(endpoint, reconnect_timeout=None, on_connection_error=on_connection_error)
        self._names = names

    def _fixed(self, run: Run) -> Run:
        created = created_at(self._names.index(run.name))
        status = with_fixed_times(run.name, run.raw.get("status") or {}, created)
        return decode_run({**run.raw, "createdAt": created.isoformat(), "status": status})

    async def run(self, name: str) -> Run:
        return self._fixed(await super().run(name))

    async def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]:
        async with aclosing(super().watch_runs(run)) as changes:
            async for change in changes:
                match change:
                    case RunsListed(runs):
                        yield RunsListed(tuple(self._fixed(each) for each in runs))
                    case RunChanged(changed):
                        yield RunChanged(self._fixed(changed))
                    case _:
                        yield change

    async def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        async with aclosing(super().stream_logs(run, steps, after, partial_lines=partial_lines)) as frames:
            async for frame in frames:
                yield _fixed_frame(frame)

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        blocks = super().log_blocks(run, step, attempt=attempt, container=container, timestamps=timestamps)
        number = 0
        async with aclosing(blocks) as found:
            async for block in found:
                lines = block.splitlines(keepends=True)
                yield _without_folders(b"".join(map(_stamped, lines, count(number + 1))) if timestamps else block)
                number += len(lines)

    async def logs(self, run: str, step: str, **options: Any) -> AsyncGenerator[str, None]:
        async with aclosing(super().logs(run, step, **options)) as lines:
            async for line in lines:
                yield _without_folders(line.encode()).decode()

    async def commands(self, run: str, step: str, *, attempt: int | None = None) -> tuple[StepCommand, ...]:
        found = await super().commands(run, step, attempt=attempt)
        return tuple(
            replace(
                each,
                start=command_time(each.index) if each.start is not None else None,
                end=command_time(each.index + 1) if each.end is not None else None,
            )
            for each in found
        )

    async def list_statistics(self) -> tuple[PipelineTrend, ...]:
        return ()

    async def statistics(self, pipeline: str) -> PipelineTrend:
        found = await super().statistics(pipeline)
        return replace(found, steps=tuple(_fixed_trend(pipeline, step) for step in found.steps))


def _fixed_frame(frame: Frame) -> Frame:
    match frame:
        case Lines(_, first, lines):
            times = map(_microseconds, map(line_time, count(first)))
            shown = (_without_folders(line.text.encode()).decode() for line in lines)
            return replace(frame, lines=tuple(LogLine(next(times), text) for text in shown))
        case LinePart(_, number, line):
            return replace(frame, line=replace(line, time=_microseconds(line_time(number))))
        case CommandStarted():
            return replace(frame, time=_microseconds(command_time(frame.index)))
        case _:
            return frame


def _fixed_trend(pipeline: str, step: StepTrend) -> StepTrend:
    """The durations of a step in the runs of its pipeline, which count from 1."""
    seconds = tuple(
        None if value is None else step_seconds(f"{pipeline}-{number}", step.name)
        for number, value in enumerate(step.seconds, 1)
    )
    known = [value for value in seconds if value is not None]
    return replace(
        step,
        seconds=seconds,
        median=median(known) if known else None,
        last=known[-1] if known else None,
        slower=None,
    )


def _without_folders(text: bytes) -> bytes:
    return re.sub(WORKSPACE.encode(), b"/workspace/", text)


def _stamped(line: bytes, number: int) -> bytes:
    """A line that starts with its time and a space, with another time."""
    return line_time(number).isoformat().encode() + b" " + line.partition(b" ")[2]


def _microseconds(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)
