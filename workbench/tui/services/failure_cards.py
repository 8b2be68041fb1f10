"""Gathers what the card of a failed step shows: logs, commands, changed files, the source of the failure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Run, Step, StepCommand, StreamKey
from workbench.logs.run_log import STEP
from workbench.report.failure_card import (
    Evidence,
    FailureCard,
    LogTail,
    commit_of,
    complete_card,
    failure_of,
    step_definition,
)
from workbench.report.source_location import SourceLocation, find_source
from workbench.submit.changes import FileChange, changed_between
from workbench.submit.repository import WorktreeError
from workbench.text.sanitize import sanitize_line
from workbench.tui.services.interfaces import ControllerApi

MAX_LOG_BYTES = 256 * 1024
"""How much of the end of a log is read and compared."""
_MAX_LINE_BYTES = 4_096
_BLOCKS_AT_ONCE = 500
_NAMED_TESTS = 3
_TIMEOUT = 20.0
"""Seconds for all requests of one card."""


@dataclass(frozen=True)
class FailedStep:
    """A failed step, and the stream that explains the failure; the same step of its last success, if there is one."""

    run: Run
    step: Step
    key: StreamKey | None
    green: Run | None = None
    green_key: StreamKey | None = None


async def gather_card(controller: ControllerApi, failed: FailedStep, root: Path) -> FailureCard:
    """The card of a failed step; what can't be read is left out, or the card says why.

    Args:
        root: the folder whose repository has the source of the run.
    """
    return await asyncio.to_thread(
        complete_card, failed.run, failed.step, failed.green, await _gather(controller, failed, root)
    )


async def _gather(controller: ControllerApi, failed: FailedStep, root: Path) -> Evidence:
    async with asyncio.TaskGroup() as group:
        log = group.create_task(_read_log(controller, failed.run.name, failed.step, failed.key))
        green_step = failed.green.step(failed.step.name) if failed.green is not None else None
        green_name = failed.green.name if failed.green is not None else ""
        green = group.create_task(_read_log(controller, green_name, green_step, failed.green_key))
        commands = group.create_task(_read_commands(controller, failed))
        files = group.create_task(asyncio.to_thread(_changed_files, failed, root))
        tests = group.create_task(_read_failed_tests(controller, failed))
        source = group.create_task(asyncio.to_thread(source_of, failed.run, failed.step, root))
    found, problem = log.result()
    green_found, green_problem = green.result()
    return Evidence(
        commands.result(),
        found,
        problem,
        source.result(),
        green_found,
        green_problem,
        files.result(),
        tests.result(),
    )


def source_of(run: Run, step: Step, root: Path) -> SourceLocation | None:
    """The line of a file below `root` that the failure names. It reads the file system."""
    failure = failure_of(step)
    if failure is None or failure.file is None or failure.file_line is None:
        return None
    working_dir = step_definition(run, step).get("workingDir")
    return find_source(root, failure.file, failure.file_line, working_dir if isinstance(working_dir, str) else None)


def _changed_files(failed: FailedStep, root: Path) -> tuple[FileChange, ...] | None:
    old = commit_of(failed.green) if failed.green is not None else None
    new = commit_of(failed.run)
    if old is None or new is None:
        return None
    try:
        return changed_between(root, old, new)
    except WorktreeError:
        # The run is of another repository, or its commits were never fetched here: nothing is known.
        return None


async def _read_failed_tests(controller: ControllerApi, failed: FailedStep) -> tuple[str, ...]:
    """The names of the first tests of the step that failed."""
    attempt = failed.step.last_attempt
    if attempt is None or attempt.tests is None or not attempt.tests.failed:
        return ()
    try:
        async with asyncio.timeout(_TIMEOUT):
            report = await controller.list_tests(failed.run.name, step=failed.step.slug, failed=True)
    except (ClientError, TimeoutError):
        # The card tells how many failed.
        return ()
    return tuple(test.name for test in report.tests[:_NAMED_TESTS])


async def _read_commands(controller: ControllerApi, failed: FailedStep) -> tuple[StepCommand, ...]:
    if failed.key is None or failed.key.container != STEP:
        return ()
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await controller.commands(failed.run.name, failed.step.slug, attempt=failed.key.attempt)
    except (ClientError, TimeoutError):
        # The card names the failure without its command.
        return ()


async def _read_log(
    controller: ControllerApi, run: str, step: Step | None, key: StreamKey | None
) -> tuple[LogTail | None, str | None]:
    """The end of a log, or why there is none."""
    if step is None or key is None:
        return None, None
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await read_tail(controller, run, step, key), None
    except NotFoundError:
        return None, "its log is no longer stored"
    except ClientError as error:
        return None, str(error)
    except TimeoutError:
        return None, f"its log did not come within {_TIMEOUT:.0f} s"


async def read_tail(controller: ControllerApi, run: str, step: Step, key: StreamKey) -> LogTail:
    """The last `MAX_LOG_BYTES` of a stored log in whole lines, without control characters.

    Raises:
        ClientError: the log can't be read.
    """
    attempt = next((each for each in step.attempts if each.number == key.attempt), None)
    summary = attempt.log if attempt is not None and key.container == STEP else None
    tail = _Tail()
    if summary is not None and summary.bytes > MAX_LOG_BYTES and summary.lines > 0:
        count = max(MAX_LOG_BYTES * summary.lines // summary.bytes, 1)
        tail.dropped = max(summary.lines - count, 0)
        lines = controller.logs(run, step.slug, attempt=key.attempt, container=key.container, tail=count)
        async with aclosing(lines) as each:
            await tail.add(_encoded(each))
    else:
        blocks = controller.log_blocks(run, step.slug, attempt=key.attempt, container=key.container)
        async with aclosing(blocks) as each_block:
            await tail.add(each_block)
    return await asyncio.to_thread(tail.result)


async def _encoded(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line.encode(errors="replace") + b"\n"


class _Tail:
    """Keeps the last bytes of a log, in whole lines, and counts the lines before them in `dropped`."""

    def __init__(self) -> None:
        self.dropped = 0
        self._blocks: deque[bytes] = deque()
        self._size = 0

    async def add(self, blocks: AsyncIterator[bytes]) -> None:
        added = 0
        async for block in blocks:
            added += 1
            if added % _BLOCKS_AT_ONCE == 0:
                # Lines that have arrived together come without a pause in which keys are handled.
                await asyncio.sleep(0)
            self._blocks.append(block)
            self._size += len(block)
            while len(self._blocks) > 1 and self._size - len(self._blocks[0]) >= MAX_LOG_BYTES:
                first = self._blocks.popleft()
                self._size -= len(first)
                self.dropped += first.count(b"\n")

    def result(self) -> LogTail:
        data = b"".join(self._blocks)
        cut = max(len(data) - MAX_LOG_BYTES, 0)
        if cut and (start := data.find(b"\n", cut - 1) + 1):
            self.dropped += data.count(b"\n", 0, start)
            data = data[start:]
        lines = data.split(b"\n")[: -1 if data.endswith(b"\n") else None] if data else []
        shown = (line[:_MAX_LINE_BYTES].decode(errors="replace") for line in lines)
        return LogTail(self.dropped + 1, tuple(sanitize_line(line, colour=False) for line in shown))
