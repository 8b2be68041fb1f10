"""How soon a key is seen on the screen while four steps log 20,000 lines/s, and how fast 10,000 runs are scrolled.

.venv/bin/python bench/workbench/keys.py
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_STEPS, _RATE, _SECONDS, _BATCH = 4, 20_000, 10, 100


_PANES = {"steps": "2", "log": "3"}
"""The key that leads there."""


async def keys(pane: str) -> None:
    """Presses a key that moves in a log or to another step's, and waits until the screen has been drawn after it."""
    from tests.support.tui.fakes import FakeWorkbench, run, step
    from workbench.client import Lines, LogLine, StreamEnd, StreamKey
    from workbench.tui.startup import tune_garbage_collector
    from workbench.tui.widgets.log.view import LogView

    names = [f"step{number}" for number in range(_STEPS)]
    app = FakeWorkbench([run("flood-1", "Running", [step(name, (), "Running") for name in names])], open_run="flood-1")
    merged: asyncio.Queue[object] = asyncio.Queue()

    async def stream(*_: object, **__: object):  # type: ignore[no-untyped-def]
        while True:
            yield await merged.get()

    app.controller.stream_logs = stream  # type: ignore[method-assign]
    sent = dict.fromkeys(names, 0)

    async def flood() -> None:
        started_at = time.perf_counter()
        while (passed := time.perf_counter() - started_at) < _SECONDS:
            while sum(sent.values()) < passed * _RATE:
                for name in names:
                    lines = tuple(LogLine(1_767_225_600_100_000, f"\x1b[32mline {sent[name] + n}\x1b[0m of a flood")
                                  for n in range(_BATCH))  # fmt: skip
                    merged.put_nowait(Lines(StreamKey(name, 1, "step"), sent[name] + 1, lines))
                    sent[name] += _BATCH
            await asyncio.sleep(0.01)
        for name in names:
            merged.put_nowait(StreamEnd(StreamKey(name, 1, "step"), sent[name]))

    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause(0.5)
        tune_garbage_collector()
        flooding = asyncio.create_task(flood())
        view = app.screen.query_one(LogView)
        while not view.line_count:
            await asyncio.sleep(0.01)
        await pilot.press(_PANES[pane])
        await pilot.pause(0.1)
        took: list[float] = []
        computed: list[float] = []
        while not flooding.done():
            for key in ("k", "j"):
                painted, started_at, before = asyncio.Event(), time.perf_counter(), time.thread_time()
                number = app._number
                app.simulate_key(key)
                while app._number == number or app._in_flight is not None:
                    await asyncio.sleep(0)
                # The key has been handled; now what it has changed is drawn.
                view.call_after_refresh(painted.set)
                await painted.wait()
                took.append(time.perf_counter() - started_at)
                computed.append(time.thread_time() - before)
                await asyncio.sleep(0.05)
        await flooding
        while view.line_count < sent[names[0]]:
            await asyncio.sleep(0.01)
        lines = f"{view.line_count:,} of {sent[names[0]]:,} lines of the first step are there"
        print(
            f"key to paint in the {pane} beside {sum(sent.values()) / _SECONDS:,.0f} lines/s of {_STEPS} steps: "
            f"{_spread(took)} ({len(took)} keys), processor time {_spread(computed)}; {lines}"
        )


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p95 {ordered[int(len(ordered) * 0.95)] * 1000:.0f} ms"


async def scroll() -> None:
    """Moves the cursor down a list of 10,000 runs and waits for each picture."""
    from tests.support.tui.fakes import FakeWorkbench, hello
    from workbench.tui.widgets.runs_table import RunsTable

    app = FakeWorkbench([hello(number, created_ago=number) for number in range(1, 10_001)])
    async with app.run_test(size=(160, 45)) as pilot:
        while not app.screen.query(RunsTable) or app.screen.query_one(RunsTable).count < 10_000:
            await pilot.pause(0.05)
        table, frames, started_at = app.screen.query_one(RunsTable), 0, time.perf_counter()
        while time.perf_counter() - started_at < 3:
            painted = asyncio.Event()
            table.action_page(1 if frames % 400 < 200 else -1)
            table.call_after_refresh(painted.set)
            await painted.wait()
            frames += 1
        print(
            "10,000 runs scroll a page at a time at "
            f"{frames / (time.perf_counter() - started_at):.0f} pictures a second"
        )


def main() -> None:
    sys.path.insert(0, str(ROOT))
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    for pane in _PANES:
        asyncio.run(keys(pane))
    asyncio.run(scroll())


if __name__ == "__main__":
    main()
