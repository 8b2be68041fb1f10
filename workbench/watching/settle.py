"""Waits after changes until nothing changes any more, and prepares what follows meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

QUIET_SECONDS = 0.25
"""How long no change may be reported before a run starts: editors and git write many files one after the other.

Changes are reported 0.05 s after the last of them, which makes a pause of 0.3 s.
"""


class Settled(Generic[T]):
    """What has changed, and what was prepared for it after the last change."""

    def __init__(self, names: frozenset[str], prepared: T) -> None:
        self.names = names
        self.prepared = prepared


async def settled_changes(
    groups: AsyncIterator[frozenset[str]],
    prepare: Callable[[frozenset[str]], Awaitable[T]],
    quiet: float = QUIET_SECONDS,
) -> AsyncGenerator[Settled[T], None]:
    """All changes up to a pause of `quiet` seconds, with the result of `prepare` for them.

    `prepare` is called with all names so far as soon as something changes, and is cancelled and called again when more
    follows, so that a part of its work is done within the pause. It must be harmless to cancel it. The end of `groups`
    ends this; an error of either is raised.
    """
    pending = _Pending(prepare)
    reading: asyncio.Task[frozenset[str] | None] | None = None
    try:
        while True:
            reading = reading or asyncio.ensure_future(_next(groups))
            done, _ = await asyncio.wait([reading], timeout=quiet if pending.names else None)
            if done:
                group, reading = reading.result(), None
                if group is None:
                    return
                await pending.add(group)
                continue
            # A change while the preparation goes on is waited for, too.
            await asyncio.wait([reading, pending.task], return_when=asyncio.FIRST_COMPLETED)
            if reading.done() or not pending.task.done():
                continue
            yield pending.take()
    finally:
        for task in (reading, pending.current):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task


class _Pending(Generic[T]):
    """The names that have changed since the last pause, and the preparation for them."""

    def __init__(self, prepare: Callable[[frozenset[str]], Awaitable[T]]) -> None:
        self._prepare = prepare
        self.names: frozenset[str] = frozenset()
        self.current: asyncio.Task[T] | None = None

    @property
    def task(self) -> asyncio.Task[T]:
        assert self.current is not None
        return self.current

    async def add(self, names: frozenset[str]) -> None:
        self.names |= names
        await self._cancel()
        self.current = asyncio.create_task(self._run(self.names))

    def take(self) -> Settled[T]:
        found = Settled(self.names, self.task.result())
        self.names, self.current = frozenset(), None
        return found

    async def _run(self, names: frozenset[str]) -> T:
        return await self._prepare(names)

    async def _cancel(self) -> None:
        if self.current is not None:
            self.current.cancel()
            await asyncio.wait([self.current])


async def _next(groups: AsyncIterator[frozenset[str]]) -> frozenset[str] | None:
    """The next group; None at the end."""
    return await anext(groups, None)
