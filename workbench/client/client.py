"""The client of the controller's REST API (docs/reference/rest.md). How bytes travel is in `transport`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Self

from workbench.client.api.artifacts import ArtifactCalls
from workbench.client.api.cluster import ClusterCalls
from workbench.client.api.connections import ConnectionCalls
from workbench.client.api.dashboard import DashboardCalls
from workbench.client.api.documents import DocumentCalls
from workbench.client.api.logs import LogCalls
from workbench.client.api.runs import RunCalls
from workbench.client.api.statistics import StatisticsCalls
from workbench.client.api.test_results import TestCalls
from workbench.client.backoff import Backoff
from workbench.client.endpoint import Endpoint
from workbench.client.models import Change, Frame, StreamKey

if TYPE_CHECKING:
    from workbench.client.streams import Streams


class Client(
    RunCalls,
    LogCalls,
    TestCalls,
    StatisticsCalls,
    ArtifactCalls,
    DocumentCalls,
    ClusterCalls,
    ConnectionCalls,
    DashboardCalls,
):
    """A controller's REST API in the namespace of `endpoint`. Every call raises only `ClientError`s.

    `reconnect_timeout` is how many seconds a stream tries to reconnect before it raises; None means
    forever. `on_connection_error` receives a message when a stream loses its connection, and None
    when it is connected again. With `read_only`, a call that may change something raises
    `ReadOnlyError` and is not sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        reconnect_timeout: float | None = 30.0,
        on_connection_error: Callable[[str | None], None] = lambda _: None,
        read_only: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(endpoint)
        self._reconnect_timeout = reconnect_timeout
        self._on_connection_error = on_connection_error
        self._sleep = sleep
        self._read_only = read_only
        self._clock = clock
        self._jitter = jitter

    async def __aenter__(self) -> Self:
        # Imported here: the HTTP library takes longer to load than the rest of a command.
        from workbench.client.transport import Transport

        endpoint = self._endpoint
        self._open_transport = Transport(
            endpoint.url, endpoint.token_file, endpoint.sandbox, self._sleep, read_only=self._read_only
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open_transport is not None:
            await self._open_transport.close()
            self._open_transport = None

    def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]:
        """The current runs, then every change: of all runs of the namespace, or of one.

        Starts with `RunsListed` and yields another one when changes may have been missed; a named
        run that does not exist is an empty list. It reconnects by itself and never ends; close it
        (`contextlib.aclosing`) when done.
        """
        return self._streams().watch_runs(run)

    def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        """Live log frames of a run: of these steps (slugs), or of every step as it starts.

        `after` holds the last line already received of each stream. With `partial_lines`, there are
        also frames about lines that are being written (`LinePart`). It reconnects by itself and
        resumes without a gap or a repeat; the last frame is `RunEnd`.
        """
        return self._streams().stream_logs(run, steps, after or {}, partial_lines=partial_lines)

    def _streams(self) -> Streams:
        from workbench.client.streams import Streams

        backoff = Backoff(self._reconnect_timeout, self._clock, self._jitter)
        return Streams(
            self._transport, self._path, self.runs, self.run, backoff, self._on_connection_error, self._sleep
        )
