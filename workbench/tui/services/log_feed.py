"""Brings the logs that are looked at here: stored ones as one download each, growing ones over one socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from workbench.client.errors import ClientError, NotFound
from workbench.client.models import Done, Step, StreamKey
from workbench.logs.log_file import LogFileError
from workbench.logs.step_logs import Download, StepLogs
from workbench.tui.services.interfaces import Controller

_AGAIN = 1.0
"""Seconds before a stream that broke for good is asked for again."""
_STAMPED = 200_000
"""Lines up to which the times come along; those of longer logs come when somebody wants to see them."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """A stream that somebody looks at. `stored`: it has ended, so that it can be had whole from `run` and `slug`."""

    key: StreamKey
    run: str
    slug: str
    stored: bool
    lines: int = 0

    @classmethod
    def of(cls, run: str, step: Step, key: StreamKey) -> Wanted:
        if step.reused is not None:
            return cls(key, step.reused.run, step.reused.slug, stored=True)
        attempt = next((one for one in step.attempts if one.number == key.attempt), None)
        log = attempt.log if attempt is not None else None
        stored = log is not None and log.archived
        return cls(key, run, step.slug, stored, log.lines if log is not None and key.container == "step" else 0)


class LogFeed:
    """`came` is called after lines came; `tell` with what went wrong, in a sentence."""

    def __init__(self, run: str, logs: StepLogs, came: Callable[[], None], tell: Tell) -> None:
        self._run, self._logs, self._came, self._tell = run, logs, came, tell

    async def follow(self, controller: Controller, wanted: Iterable[Wanted]) -> None:
        """Bring these streams to their ends. Each try goes on where the one before stopped."""
        missing = [each for each in wanted if not self._logs.complete(each.key)]
        growing = {each.slug for each in missing if not each.stored}
        try:
            async with asyncio.TaskGroup() as group:
                for each in missing:
                    if each.stored:
                        group.create_task(self._download(controller, each))
                if growing:
                    group.create_task(self._stream(controller, growing))
        except* LogFileError as errors:
            self._tell(str(errors.exceptions[0]))

    async def times(self, controller: Controller, wanted: Wanted) -> None:
        """Bring the times of a log that came without them."""
        download, first = Download(self._logs.stream(wanted.key), stamped=True), 0
        try:
            async with aclosing(self._blocks(controller, wanted, stamped=True)) as blocks:
                async for block in blocks:
                    first += await asyncio.to_thread(download.times, block, first)
        except ClientError as error:
            self._tell(str(error))
        self._came()

    async def _download(self, controller: Controller, wanted: Wanted) -> None:
        while True:
            stamped = wanted.lines <= _STAMPED
            download = Download(self._logs.stream(wanted.key), stamped=stamped)
            try:
                async with aclosing(self._blocks(controller, wanted, stamped=stamped)) as blocks:
                    async for block in blocks:
                        await asyncio.to_thread(download.take, block)
                        self._came()
                download.finish()
                self._came()
                return
            except NotFound:
                self._tell(f"The log of {wanted.slug} is not stored any more.")
                return
            except ClientError as error:
                self._tell(str(error))
            await asyncio.sleep(_AGAIN)

    @staticmethod
    def _blocks(controller: Controller, wanted: Wanted, *, stamped: bool) -> AsyncGenerator[bytes, None]:
        key = wanted.key
        return controller.log_blocks(
            wanted.run, wanted.slug, attempt=key.attempt, container=key.container, timestamps=stamped
        )

    async def _stream(self, controller: Controller, slugs: set[str]) -> None:
        while True:
            seen = {key: line for slug in slugs for key, line in self._logs.seen(slug).items()}
            whole = True
            try:
                async with aclosing(controller.stream_logs(self._run, sorted(slugs), seen)) as frames:
                    async for frame in frames:
                        whole = self._logs.apply(frame)
                        self._came()
                        # What has come at once is taken at once; keys and paint get their turn in between.
                        await asyncio.sleep(0)
                        if not whole or isinstance(frame, Done):
                            break
                if whole:
                    return
            except ClientError as error:
                self._tell(str(error))
            await asyncio.sleep(_AGAIN)
