"""Pauses between changes: what is prepared, when, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from workbench.watching.settle import settled_changes

QUIET = 0.05


class Groups:
    """Groups of changes that a test sends; None ends them."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()

    def send(self, *names: str) -> None:
        self.queue.put_nowait(frozenset(names))

    def end(self) -> None:
        self.queue.put_nowait(None)

    async def __call__(self) -> AsyncIterator[frozenset[str]]:
        while (group := await self.queue.get()) is not None:
            yield group


class Preparing:
    """Remembers for what it was called, and what was cancelled; `gate` lets it finish."""

    def __init__(self) -> None:
        self.started: list[frozenset[str]] = []
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, names: frozenset[str]) -> str:
        self.started.append(names)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "+".join(sorted(names))


async def test_changes_without_a_pause_are_one() -> None:
    groups, prepare = Groups(), Preparing()
    for name in ("a", "b", "c"):
        groups.send(name)
    async with aclosing(settled_changes(groups(), prepare, QUIET)) as rounds:
        found = await anext(rounds)
        assert (found.names, found.prepared) == (frozenset("abc"), "a+b+c")
        groups.send("d")
        assert (await anext(rounds)).prepared == "d", "what was handled before is not counted again"


async def test_preparation_begins_before_the_pause_is_over_and_again_after_a_change() -> None:
    groups, prepare = Groups(), Preparing()
    prepare.gate.clear()
    async with aclosing(settled_changes(groups(), prepare, 60.0)) as rounds:
        waiting = asyncio.ensure_future(anext(rounds))
        groups.send("a")
        await _until(lambda: prepare.started == [frozenset("a")])
        groups.send("b")
        await _until(lambda: prepare.started == [frozenset("a"), frozenset("ab")])
        assert (prepare.cancelled, waiting.done()) == (1, False)
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_change_during_a_long_preparation_starts_it_anew() -> None:
    groups, prepare = Groups(), Preparing()
    prepare.gate.clear()
    async with aclosing(settled_changes(groups(), prepare, QUIET)) as rounds:
        waiting = asyncio.ensure_future(anext(rounds))
        groups.send("a")
        await _until(lambda: len(prepare.started) == 1)
        await asyncio.wait([waiting], timeout=3 * QUIET)
        groups.send("b")
        await _until(lambda: len(prepare.started) == 2)
        prepare.gate.set()
        assert (await waiting).prepared == "a+b"


async def test_end_of_changes_ends_it_and_cancels_what_is_prepared() -> None:
    groups, prepare = Groups(), Preparing()
    prepare.gate.clear()
    groups.send("a")
    groups.end()
    async with aclosing(settled_changes(groups(), prepare, 60.0)) as rounds:
        assert [each async for each in rounds] == []
    assert len(prepare.started) == prepare.cancelled


async def _until(condition: object) -> None:
    async with asyncio.timeout(60):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0)
