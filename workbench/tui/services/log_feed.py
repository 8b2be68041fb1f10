"""Brings the logs that are looked at here: stored ones as one download each, growing ones over one socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import RunEnd, Step, StreamKey
from workbench.logs.log_file import LogFileError
from workbench.logs.step_logs import StepLogs, StoredLogLoader
from workbench.tui.services.interfaces import ControllerApi

_RETRY_SECONDS = 1.0
"""Seconds before a stream that broke for good is asked for again."""
_MAX_TIMESTAMPED_LINES = 200_000
"""Lines up to which the times come along; those of longer logs come when somebody wants to see them."""

OnProblem = Callable[[str], None]


@dataclass(frozen=True)
class LogRequest:
    """A stream that somebody looks at. `stored`: it has ended, so that it can be had whole from `run` and `slug`."""

    key: StreamKey
    run: str
    slug: str
    stored: bool
    lines: int = 0

    @classmethod
    def of(cls, run: str, step: Step, key: StreamKey) -> LogRequest:
        if step.reused is not None:
            return cls(key, step.reused.run, step.reused.slug, stored=True)
        attempt = next((one for one in step.attempts if one.number == key.attempt), None)
        log = attempt.log if attempt is not None else None
        stored = log is not None and log.archived
        return cls(key, run, step.slug, stored, log.lines if log is not None and key.container == "step" else 0)


class LogFeed:
    """`came` is called after lines came; `tell` with what went wrong, in a sentence."""

    def __init__(self, run: str, logs: StepLogs, on_lines: Callable[[], None], on_problem: OnProblem) -> None:
        self._run, self._logs, self._on_new_lines, self._report_problem = run, logs, on_lines, on_problem

    async def follow(self, controller: ControllerApi, requests: Iterable[LogRequest]) -> None:
        """Bring these streams to their ends. Each try goes on where the one before stopped."""
        missing = [each for each in requests if not self._logs.is_complete(each.key)]
        growing = {each.slug for each in missing if not each.stored}
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
        """Bring the times of a log that came without them."""
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
                        await asyncio.to_thread(download.feed, block)
                        self._on_new_lines()
                download.finish()
                self._on_new_lines()
                return
            except NotFoundError:
                self._report_problem(f"The log of {request.slug} is not stored any more.")
                return
            except ClientError as error:
                self._report_problem(str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    @staticmethod
    def _blocks(controller: ControllerApi, request: LogRequest, *, stamped: bool) -> AsyncGenerator[bytes, None]:
        key = request.key
        return controller.log_blocks(
            request.run, request.slug, attempt=key.attempt, container=key.container, timestamps=stamped
        )

    async def _stream(self, controller: ControllerApi, slugs: set[str]) -> None:
        while True:
            seen = {key: line for slug in slugs for key, line in self._logs.cursors(slug).items()}
            whole = True
            try:
                async with aclosing(controller.stream_logs(self._run, sorted(slugs), seen)) as frames:
                    async for frame in frames:
                        whole = self._logs.apply(frame)
                        self._on_new_lines()
                        # What has come at once is taken at once; keys and paint get their turn in between.
                        await asyncio.sleep(0)
                        if not whole or isinstance(frame, RunEnd):
                            break
                if whole:
                    return
            except ClientError as error:
                self._report_problem(str(error))
            await asyncio.sleep(_RETRY_SECONDS)
