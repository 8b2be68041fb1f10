"""Follows one container's log to its end, reconnecting as needed.

Yields output in order, each byte once. Output that could not be read is reported as a `Gap`. Masking, numbering and
archiving happen elsewhere.
"""

import asyncio
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from controller.logs.collect.resume import Deduplicator, ResumePoint
from controller.logs.collect.source import ContainerState, LogSource
from controller.logs.errors import ContainerNotStartedError, LogError, PodGoneError
from controller.logs.timestamps import ParsedChunk, TimestampParser


@dataclass(frozen=True)
class Gap:
    """Output is missing here; `why` is fit for a line in the log."""

    why: str


@dataclass(frozen=True)
class Finished:
    """The container has ended and all output was read. The exit code is None if unknown."""

    exit_code: int | None


@dataclass(frozen=True)
class ReconnectPolicy:
    """Delays and limits of following, in seconds.

    The first retries come quickly, because a container usually starts within milliseconds. A stream that is silent for
    long is reopened: connections die silently, and a kubelet may stop following when it rotates a file.
    """

    initial_delay: float = 0.01
    fast_retries: int = 50
    max_delay: float = 5.0
    read_timeout: float = 30.0
    give_up_after: float = 120.0

    def delay(self, failures: int) -> float:
        """The delay after this many consecutive failures; the first `fast_retries` don't lengthen it."""
        slow = max(0, failures - self.fast_retries)
        return float(min(self.max_delay, self.initial_delay * 2 ** min(slow, 20)))


Sleep = Callable[[float], Awaitable[None]]


class Follower:
    """Follows one log. `resume_point` is what is known of it already; `sleep` and `monotonic` are injected."""

    def __init__(
        self,
        source: LogSource,
        resume_point: ResumePoint,
        *,
        retry_policy: ReconnectPolicy,
        sleep: Sleep,
        monotonic: Callable[[], float],
    ) -> None:
        self._source = source
        self._resume_point = resume_point
        self._retry_policy = retry_policy
        self._sleep = sleep
        self._monotonic = monotonic
        self._failures = 0
        self._failing_since: float | None = None
        self._state: ContainerState | None = None
        self._is_complete = False
        self._restarts: int | None = None
        """Restarts of the container when a stream was last read to its end; None if the last one broke."""

    async def events(self) -> AsyncGenerator[ParsedChunk | Gap | Finished, None]:
        """Yields output and gaps, and Finished at the end."""
        while True:
            parser = TimestampParser()
            try:
                async with aclosing(self._read_stream(parser)) as chunks:
                    async for event in chunks:
                        yield event
            except PodGoneError:
                self._state = ContainerState("gone")
            if self._is_complete:
                for chunk in self._flush(parser):
                    yield chunk
            ending = self._final_events()
            if ending is not None:
                for last in ending:
                    yield last
                return
            await self._back_off()

    async def _read_stream(self, parser: TimestampParser) -> AsyncGenerator[ParsedChunk | Gap, None]:
        """Reads one connection. Then `_state` is the container's, and `_is_complete` says whether this was the end."""
        self._is_complete = False
        overlap = self._resume_point.deduplicator()
        opened = self._monotonic()
        try:
            async with aclosing(self._chunks(self._resume_point.since)) as chunks:
                async for chunk in chunks:
                    self._failures = 0
                    for event in await self._unseen(parser.feed(chunk), overlap):
                        yield event
            await self._on_stream_end(opened)
            if self._is_complete and not overlap.is_caught_up:
                for event in await self._missing("output may have been lost while the connection was broken"):
                    yield event
        except ContainerNotStartedError:
            await self._on_not_started()
        except PodGoneError:
            raise
        except LogError:
            self._restarts = None
            await self._refresh_state()
        except TimeoutError:
            self._failures = 0

    async def _unseen(self, chunk: ParsedChunk, overlap: Deduplicator) -> list[ParsedChunk | Gap]:
        """The part of the output that has not been passed on before."""
        found: list[ParsedChunk | Gap] = []
        if not overlap.done:
            chunk = overlap.new_part(chunk)
            if overlap.has_gap:
                overlap.has_gap = False
                found += await self._missing("output was lost while the connection was broken")
        if chunk.data or chunk.times:
            self._resume_point.advance(chunk)
            found.append(chunk)
        return found

    async def _missing(self, why: str) -> list[ParsedChunk | Gap]:
        """What to pass on where lines that were read do not come again.

        After a restart that is right: the new container has a log of its own, and the old one was read to its end.
        """
        restarted = await self._is_next_start()
        ends_line = restarted and self._resume_point.has_partial_line
        self._resume_point.discard_partial_line()
        if not restarted:
            return [Gap(why)]
        return [ParsedChunk(b"\n", array("q"))] if ends_line else []

    async def _is_next_start(self) -> bool:
        """Whether the log that is read now is that of the start after the one whose log was read to its end."""
        if self._restarts is None:
            return False
        try:
            state = await self._source.state()
        except LogError:
            return False
        missed = state.restarts - self._restarts > 1
        return not missed and state.started_at is not None and self._resume_point.precedes(state.started_at)

    async def _on_stream_end(self, opened: float) -> None:
        """Finds out whether the server ended the stream because the container has ended."""
        ended = self._monotonic()
        self._state = await self._source.state()
        self._restarts = self._state.restarts
        over = self._state.phase in ("terminated", "never", "gone")
        # If the cluster was slow to report the end, the container might have printed more after the stream broke.
        self._is_complete = over and self._monotonic() - ended < 1.0
        if not self._is_complete and ended - opened > 1.0:
            self._failures = 0

    async def _chunks(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """The source's chunks; raises TimeoutError after `read_timeout` without one."""
        async with aclosing(self._source.stream(since)) as stream:
            while True:
                async with asyncio.timeout(self._retry_policy.read_timeout):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                yield chunk

    def _flush(self, parser: TimestampParser) -> list[ParsedChunk]:
        chunk = parser.flush()
        return [chunk] if chunk.data else []

    def _final_events(self) -> list[Gap | Finished] | None:
        """What to report at the end; None if it is not reached."""
        state = self._state
        if state is None:
            return None
        if self._is_complete or state.phase == "never":
            return [Finished(state.exit_code)]
        if state.phase == "gone":
            return [Gap("the pod is gone, and the unread rest of its output with it"), Finished(None)]
        if state.phase != "terminated":
            self._failing_since = None
            return None
        now = self._monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        if now - self._failing_since < self._retry_policy.give_up_after:
            return None
        return [Gap("the rest of the output could not be read"), Finished(state.exit_code)]

    async def _on_not_started(self) -> None:
        """Costs little while retries are fast; later checks whether the container will ever start."""
        if self._failures >= self._retry_policy.fast_retries:
            await self._refresh_state()

    async def _refresh_state(self) -> None:
        try:
            self._state = await self._source.state()
        except PodGoneError:
            raise
        except LogError:
            # The cluster does not answer: the last known state stands, and the delay grows.
            return

    async def _back_off(self) -> None:
        delay = self._retry_policy.delay(self._failures)
        self._failures += 1
        await self._sleep(delay)
