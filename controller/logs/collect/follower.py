"""Follows one container's log to its end, whatever happens to the connection in between.

Gives pieces of output in order, each byte once. What could not be had is told as a `Gap`, never passed over. Masking,
numbering and keeping are others' business.
"""

import asyncio
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
    """The container has ended and this was all of it. The exit code is None where it is not known."""

    exit_code: int | None


@dataclass(frozen=True)
class RetryPolicy:
    """How long is waited for what, in seconds.

    The first tries come quickly, because a container usually starts within milliseconds. A stream that is silent for
    long is opened again: connections die silently, and a kubelet may stop following when it rotates a file.
    """

    initial_delay: float = 0.01
    fast_retries: int = 50
    max_delay: float = 5.0
    read_timeout: float = 30.0
    give_up_after: float = 120.0

    def delay(self, failures: int) -> float:
        """The wait after so many failures in a row, of which the first are taken lightly."""
        slow = max(0, failures - self.fast_retries)
        return float(min(self.max_delay, self.initial_delay * 2 ** min(slow, 20)))


Sleep = Callable[[float], Awaitable[None]]


class Follower:
    """Follows one log. `position` is what is known of it already; `sleep` and `monotonic` are handed in."""

    def __init__(
        self,
        source: LogSource,
        resume_point: ResumePoint,
        *,
        retry_policy: RetryPolicy,
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

    async def events(self) -> AsyncGenerator[ParsedChunk | Gap | Finished, None]:
        """Pieces and gaps, and Finished at the end."""
        while True:
            stamped = TimestampParser()
            try:
                async with aclosing(self._read_stream(stamped)) as pieces:
                    async for event in pieces:
                        yield event
            except PodGoneError:
                self._state = ContainerState("gone")
            if self._is_complete:
                for piece in self._flush(stamped):
                    yield piece
            ending = self._final_events()
            if ending is not None:
                for last in ending:
                    yield last
                return
            await self._back_off()

    async def _read_stream(self, stamped: TimestampParser) -> AsyncGenerator[ParsedChunk | Gap, None]:
        """One connection. Afterwards `_state` is the container's and `_clean` says whether this was the end."""
        self._is_complete = False
        overlap = self._resume_point.deduplicator()
        opened = self._monotonic()
        try:
            async with aclosing(self._chunks(self._resume_point.since)) as chunks:
                async for chunk in chunks:
                    self._failures = 0
                    for event in self._unseen(stamped.feed(chunk), overlap):
                        yield event
            await self._on_stream_end(opened)
            if self._is_complete and not overlap.is_caught_up:
                self._resume_point.discard_partial_line()
                yield Gap("output may have been lost while the stream was broken")
        except ContainerNotStartedError:
            await self._on_not_started()
        except PodGoneError:
            raise
        except LogError:
            await self._refresh_state()
        except TimeoutError:
            self._failures = 0

    def _unseen(self, piece: ParsedChunk, overlap: Deduplicator) -> list[ParsedChunk | Gap]:
        """What of a piece has not been passed on before."""
        found: list[ParsedChunk | Gap] = []
        if not overlap.done:
            piece = overlap.new_part(piece)
            if overlap.has_gap:
                overlap.has_gap = False
                self._resume_point.discard_partial_line()
                found.append(Gap("output was lost while the stream was broken"))
        if piece.data or piece.times:
            self._resume_point.advance(piece)
            found.append(piece)
        return found

    async def _on_stream_end(self, opened: float) -> None:
        """The server ended the stream: because the container has, or for a reason of its own?"""
        ended = self._monotonic()
        self._state = await self._source.state()
        over = self._state.phase in ("terminated", "never", "gone")
        # Had the cluster been slow to say so, the container might have printed more after the stream broke.
        self._is_complete = over and self._monotonic() - ended < 1.0
        if not self._is_complete and ended - opened > 1.0:
            self._failures = 0

    async def _chunks(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """The source's chunks; a silence that lasts too long ends them with a TimeoutError."""
        async with aclosing(self._source.stream(since)) as stream:
            while True:
                async with asyncio.timeout(self._retry_policy.read_timeout):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                yield chunk

    def _flush(self, stamped: TimestampParser) -> list[ParsedChunk]:
        piece = stamped.flush()
        return [piece] if piece.data else []

    def _final_events(self) -> list[Gap | Finished] | None:
        """What to say at the end, or None when it is not reached."""
        state = self._state
        if state is None:
            return None
        if self._is_complete or state.phase == "never":
            return [Finished(state.exit_code)]
        if state.phase == "gone":
            return [Gap("the pod is gone, and what was not read of its output with it"), Finished(None)]
        if state.phase != "terminated":
            self._failing_since = None
            return None
        now = self._monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        if now - self._failing_since < self._retry_policy.give_up_after:
            return None
        return [Gap("the rest of the output could not be read"), Finished(state.exit_code)]

    async def _on_not_started(self) -> None:
        """Early tries cost as little as can be; later ones ask whether the container will ever start."""
        if self._failures >= self._retry_policy.fast_retries:
            await self._refresh_state()

    async def _refresh_state(self) -> None:
        try:
            self._state = await self._source.state()
        except PodGoneError:
            raise
        except LogError:
            # The cluster says nothing at the moment: what was known before still stands, and the wait grows.
            return

    async def _back_off(self) -> None:
        delay = self._retry_policy.delay(self._failures)
        self._failures += 1
        await self._sleep(delay)
