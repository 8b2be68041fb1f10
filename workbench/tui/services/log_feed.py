"""Loads the logs that are shown: stored logs as one download each, live logs over one WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import CommandStarted, RunEnd, Step, StreamKey
from workbench.logs.log_file import LogFileError
from workbench.logs.run_log import STEP
from workbench.logs.step_logs import StepLogs, StoredLogLoader, to_microseconds
from workbench.tui.services.interfaces import ControllerApi

_RETRY_SECONDS = 1.0
"""Seconds until a failed request is repeated."""
_MAX_TIMESTAMPED_LINES = 200_000
"""Lines up to which a log is loaded with timestamps; those of longer logs are loaded on request."""

OnProblem = Callable[[str], None]


@dataclass(frozen=True)
class LogRequest:
    """A stream to load. `stored`: it has ended and can be downloaded whole from `run` and `slug`.

    The log of a reused step is that of the run that it was taken from, which the controller finds by its uid.
    """

    key: StreamKey
    run: str
    slug: str
    stored: bool
    lines: int = 0

    @classmethod
    def of(cls, run: str, step: Step, key: StreamKey) -> LogRequest:
        if step.reused is not None:
            return cls(key, run, step.slug, stored=True)
        attempt = next((one for one in step.attempts if one.number == key.attempt), None)
        log = attempt.log if attempt is not None else None
        stored = log is not None and log.archived
        return cls(key, run, step.slug, stored, log.lines if log is not None and key.container == "step" else 0)


class LogFeed:
    """Loads streams of one run. `on_lines` is called after lines arrive, `on_problem` with an error message."""

    def __init__(self, run: str, logs: StepLogs, on_lines: Callable[[], None], on_problem: OnProblem) -> None:
        self._run, self._logs, self._on_new_lines, self._report_problem = run, logs, on_lines, on_problem

    async def follow(self, controller: ControllerApi, requests: Iterable[LogRequest]) -> None:
        """Load these streams to their ends; each retry continues where the previous one stopped."""
        missing = [each for each in requests if not self._logs.is_complete(each.key)]
        growing = [each for each in missing if not each.stored]
        try:
            async with asyncio.TaskGroup() as group:
                for each in missing:
                    if each.stored:
                        group.create_task(self._download(controller, each))
                if growing:
                    group.create_task(self._stream(controller, growing))
        except* LogFileError as errors:
            self._report_problem(str(errors.exceptions[0]))

    async def load_timestamps(self, controller: ControllerApi, request: LogRequest) -> None:
        """Load the timestamps of a log that was loaded without them."""
        download, first = StoredLogLoader(self._logs.stream(request.key), timestamps=True), 0
        try:
            async with aclosing(self._blocks(controller, request, stamped=True)) as blocks:
                async for block in blocks:
                    first += await asyncio.to_thread(download.feed_times, block, first)
        except ClientError as error:
            self._report_problem(str(error))
        self._on_new_lines()

    async def _download(self, controller: ControllerApi, request: LogRequest) -> None:
        while True:
            stamped = request.lines <= _MAX_TIMESTAMPED_LINES
            download = StoredLogLoader(self._logs.stream(request.key), timestamps=stamped)
            try:
                async with aclosing(self._blocks(controller, request, stamped=stamped)) as blocks:
                    async for block in blocks:
                        # Before its lines can be seen: they are not incomplete.
                        self._logs.stream(request.key).problem = None
                        await asyncio.to_thread(download.feed, block)
                        self._on_new_lines()
                await self._load_commands(controller, request)
                download.finish()
                self._set_problem(None, request)
                return
            except NotFoundError:
                self._set_problem("it is no longer stored", request)
                return
            except ClientError as error:
                self._set_problem(str(error), request)
                if error.is_final:
                    return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _load_commands(self, controller: ControllerApi, request: LogRequest) -> None:
        key = request.key
        if key.container != STEP:
            return
        try:
            commands = await controller.commands(request.run, request.slug, attempt=key.attempt)
        except NotFoundError:
            # A controller of an earlier version.
            return
        for found in commands:
            started = CommandStarted(key, found.index, found.line, to_microseconds(found.start), found.text)
            self._logs.stream(key).add_commands((started,))

    @staticmethod
    def _blocks(controller: ControllerApi, request: LogRequest, *, stamped: bool) -> AsyncGenerator[bytes, None]:
        key = request.key
        return controller.log_blocks(
            request.run, request.slug, attempt=key.attempt, container=key.container, timestamps=stamped
        )

    def _set_problem(self, problem: str | None, *requests: LogRequest) -> None:
        """The pane of the log shows the problem."""
        for each in requests:
            self._logs.stream(each.key).problem = problem
        self._on_new_lines()

    async def _stream(self, controller: ControllerApi, requests: list[LogRequest]) -> None:
        slugs = {each.slug for each in requests}
        while True:
            seen = {key: line for slug in slugs for key, line in self._logs.cursors(slug).items()}
            whole = True
            try:
                async with aclosing(
                    controller.stream_logs(self._run, sorted(slugs), seen, partial_lines=True)
                ) as frames:
                    async for frame in frames:
                        whole = self._logs.apply(frame)
                        self._set_problem(None, *requests)
                        # Frames that arrived together are applied together; keys and painting run in between.
                        await asyncio.sleep(0)
                        if not whole or isinstance(frame, RunEnd):
                            break
                if whole:
                    return
            except ClientError as error:
                self._set_problem(str(error), *requests)
            await asyncio.sleep(_RETRY_SECONDS)
