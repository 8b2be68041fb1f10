"""The two streams of the API, runs and log lines, which resume after lost connections."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from workbench.client import decode
from workbench.client.backoff import Backoff, LogCursor
from workbench.client.errors import ClientError, ConnectionLostError, NotFoundError, ServerError
from workbench.client.models import Change, Frame, Run, RunChanged, RunDeleted, RunEnd, RunPage, RunsListed, StreamKey
from workbench.client.sse import EventParser, ServerSentEvent
from workbench.client.transport import Transport

_PAGE = 500


class _ListRuns(Protocol):
    async def __call__(self, *, limit: int | None = None, continue_: str | None = None) -> RunPage: ...


@dataclass
class Streams:
    """The streams of a client. Each stream needs an object of its own, because `backoff` counts its failures."""

    transport: Transport
    path: Callable[..., str]
    list_runs: _ListRuns
    get_run: Callable[[str], Awaitable[Run]]
    backoff: Backoff
    on_connection_error: Callable[[str | None], None]
    sleep: Callable[[float], Awaitable[None]]

    async def watch_runs(self, run: str | None) -> AsyncGenerator[Change, None]:
        version: str | None = None
        while True:
            try:
                if version is None:
                    listed, version = await self._list(run)
                    self._report_recovery()
                    yield listed
                async with aclosing(self._events(run, version)) as events:
                    async for event in events:
                        self._report_recovery()
                        # After `restart` the server does not know what changed: list everything again.
                        version = None if event.kind == "restart" else event.id or version
                        if version is None:
                            break
                        if (change := _change(event)) is not None:
                            yield change
                if version is not None:
                    await self._pause(_closed("watch the runs"))
            except ClientError as error:
                await self._pause(error)

    async def _list(self, run: str | None) -> tuple[RunsListed, str]:
        if run is not None:
            # The version of a list, not of the run: a watch from the version of an old run may have expired.
            page = await self.list_runs(limit=1)
            try:
                return RunsListed((await self.get_run(run),)), page.resource_version
            except NotFoundError:
                return RunsListed(()), page.resource_version
        page = await self.list_runs(limit=_PAGE)
        found, version = list(page.items), page.resource_version
        while page.continue_token:
            page = await self.list_runs(limit=_PAGE, continue_=page.continue_token)
            found += page.items
        return RunsListed(tuple(found)), version

    async def _events(self, run: str | None, version: str) -> AsyncGenerator[ServerSentEvent, None]:
        params = [("resourceVersion", version)] + ([("run", run)] if run is not None else [])
        headers = {"Accept": "text/event-stream", "Last-Event-ID": version}
        action = "watch the runs"
        parser = EventParser()
        async with self.transport.open(
            "GET", self.path("watch", "runs"), action, params=params, headers=headers, streaming=True
        ) as answer:
            self.backoff.connected()
            async for chunk in answer.content.iter_any():
                try:
                    events = parser.feed(chunk)
                except ValueError as error:
                    raise ServerError(f"can't {action}: {error}") from error
                for event in events:
                    yield event

    async def stream_logs(
        self, run: str, steps: Iterable[str], after: Mapping[StreamKey, int], *, partial_lines: bool = False
    ) -> AsyncGenerator[Frame, None]:
        cursor = LogCursor.after(after)
        step_params = [("step", step) for step in steps]
        if partial_lines:
            # Not said otherwise: it means nothing to a controller of an earlier version.
            step_params.append(("partial", "true"))
        path, action = self.path("runs", run, "logs", "stream"), f"stream the logs of run {run}"
        while True:
            try:
                async with self.transport.socket(path, action, [*step_params, *cursor.params()]) as messages:
                    self.backoff.connected()
                    async for message in messages:
                        self._report_recovery()
                        for frame in decode.decode_frames(message):
                            fresh = cursor.advance(frame)
                            if fresh is not None:
                                yield fresh
                            if isinstance(fresh, RunEnd):
                                return
                await self._pause(_closed(action))
            except ClientError as error:
                await self._pause(error)

    def _report_recovery(self) -> None:
        if self.backoff.reset():
            self.on_connection_error(None)

    async def _pause(self, error: ClientError) -> None:
        """Wait before the next attempt; raise an error that a retry cannot fix, or that lasted too long."""
        if not isinstance(error, ConnectionLostError):
            raise error
        delay = self.backoff.next_delay()
        if delay is None:
            raise error.error from error.__cause__
        self.on_connection_error(str(error))
        await self.sleep(delay)


def _closed(action: str) -> ClientError:
    return ConnectionLostError(ServerError(f"can't {action}: the controller closed the stream"))


def _change(event: ServerSentEvent) -> Change | None:
    if event.kind not in ("added", "modified", "deleted"):
        return None
    try:
        raw = json.loads(event.data)
    except ValueError as error:
        raise ServerError("can't watch the runs: an event is not JSON") from error
    run = decode.decode_run(raw if isinstance(raw, dict) else {})
    return RunDeleted(run) if event.kind == "deleted" else RunChanged(run)
