"""How long one turn of the workbench's event loop takes at most: with a log of a million lines, and with large runs.

.venv/bin/python bench/workbench/pauses.py [--stacks]

Counts the processor time of the turn, which does not depend on what else the machine does, and the time on the clock.
`--stacks` prints where turns of more than 50 ms of processor time were.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from workbench.client import Run
    from workbench.tui.widgets.log.pane import LogPane

ROOT = Path(__file__).parents[2]
_LINES, _BLOCK_LINES = 1_000_000, 2_000
_SLOW = 0.05
"""Seconds of processor time of a turn from which it is of interest."""
_SAMPLE = 0.005
_FRAMES = 7


class MeasuredLoop(asyncio.SelectorEventLoop):
    """Measures each of its turns. `stacks` are where the slow ones were."""

    def __init__(self, *, with_stacks: bool) -> None:
        super().__init__()
        self.computed = self.passed = 0.0
        """Of the longest turns since they were reset, in seconds."""
        self.stacks: list[str] = []
        self._samples: list[str] = []
        if with_stacks:
            signal.signal(signal.SIGPROF, lambda _, frame: self._samples.append(_place(frame)))
            signal.setitimer(signal.ITIMER_PROF, _SAMPLE, _SAMPLE)

    def _run_once(self) -> None:
        self._samples.clear()
        waits = not self._ready and not self._stopping  # type: ignore[attr-defined]
        before, computed = time.perf_counter(), time.thread_time()
        super()._run_once()  # type: ignore[misc]
        computed = time.thread_time() - computed
        self.computed = max(self.computed, computed)
        if not waits:
            # Of a turn that waits for something first, the time on the clock says nothing.
            self.passed = max(self.passed, time.perf_counter() - before)
        if computed > _SLOW and self._samples:
            self.stacks.append(f"{computed * 1000:.0f} ms: {max(self._samples, key=self._samples.count)}")

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Print the longest turn within the block."""
        self.computed = self.passed = 0.0
        self.stacks.clear()
        started_at = time.perf_counter()
        yield
        print(
            f"{what:58} {self.computed * 1000:4.0f} ms computing, {self.passed * 1000:4.0f} ms passed at most, "
            f"in {time.perf_counter() - started_at:.1f} s",
            flush=True,
        )
        for stack in self.stacks:
            print(f"    {stack}")


def _place(frame: Any) -> str:
    frames = [each for each in traceback.extract_stack(frame) if "/asyncio/" not in each.filename]
    return " < ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames[-_FRAMES:]))


async def million(loop: MeasuredLoop) -> None:
    from tests.support.tui.fakes import FakeWorkbench, run, step
    from workbench.client.models import LogSummary
    from workbench.tui.startup import tune_garbage_collector
    from workbench.tui.widgets.log.pane import LogPane

    work = step("work", (), "Succeeded")
    stored = LogSummary(_LINES, 100 * _LINES, None, True, None)
    work = replace(work, attempts=(replace(work.attempts[0], log=stored),))
    app = FakeWorkbench([run("long-1", "Succeeded", [work]), run("other-1", "Succeeded", [step("a", (), "Succeeded")])])
    line = b"2026-01-01 \x1b[32mINFO\x1b[0m  module: a line of about a hundred characters of some program, number "

    async def blocks(*_: object, **__: object) -> AsyncGenerator[bytes, None]:
        for first in range(0, _LINES, _BLOCK_LINES):
            yield b"".join(b"%b%d\n" % (line, first + number) for number in range(_BLOCK_LINES))

    app.controller.log_blocks = blocks  # type: ignore[method-assign]
    async with app.run_test(size=(160, 45)) as pilot:
        await _until(pilot, lambda: app.feed.runs.loaded)
        tune_garbage_collector()
        with loop.measured("nothing happens"):
            await asyncio.sleep(2)
        with loop.measured(f"a log of {_LINES:,} lines opens"):
            app.open_run("long-1")
            await _until(pilot, lambda: any(pane.view.line_count == _LINES for pane in app.screen.query(LogPane)))
            await pilot.pause(0.5)
        await _use(loop, pilot, app.screen.query_one(LogPane))


async def _use(loop: MeasuredLoop, pilot: Pilot[int], pane: LogPane) -> None:
    def scanned(name: str) -> Callable[[], bool]:
        return lambda: (index := getattr(pane.search, name)) is not None and index.complete

    acts: tuple[tuple[str, tuple[str, ...], Callable[[], bool]], ...] = (
        ("a text is typed that is nowhere", ("3", "slash", *"needle", "enter"), scanned("matches")),
        ("a text is found that is in each line", ("slash", *"INFO", "enter", "n", "N"), scanned("matches")),
        ("lines are kept that have a text", ("ampersand", *"1999", "enter"), scanned("filter")),
        ("and are moved in", ("end", "home", "j", "j", "pagedown"), lambda: True),
        ("the filter is inverted", ("i",), scanned("filter")),
        ("the filter is removed", ("ampersand", "ctrl+u", "enter"), lambda: pane.search.filter is None),
        ("errors are looked for", ("right_square_bracket",), lambda: True),
        ("ends of the log are gone to", ("home", "end", "home", "end"), lambda: True),
        ("lines are wrapped, and not again", ("w", "end", "pageup", "w"), lambda: True),
        ("numbers and times are shown", ("number_sign", "t", "t", "number_sign"), lambda: True),
        ("a time is gone to", ("colon", *"23:59", "enter"), lambda: True),
        ("everything is folded and unfolded", ("Z", "Z"), lambda: True),
    )
    for name, keys, done in acts:
        with loop.measured(name):
            await pilot.press(*keys)
            await _until(pilot, done)
            await pilot.pause(0.5)


def large_run(name: str, count: int, phase: Callable[[int], str]) -> Run:
    """A run of so many steps, in rows of ten that wait for each other."""
    from tests.support.tui.fakes import run, step

    steps = [
        step(f"step-{at}", (f"step-{at - 10}",) if at >= 10 else (), phase(at), started_ago=50) for at in range(count)
    ]
    return run(name, "Running", steps)


async def large(loop: MeasuredLoop) -> None:
    from tests.support.tui.fakes import FakeWorkbench
    from workbench.tui.startup import tune_garbage_collector
    from workbench.tui.widgets.step_list import StepList

    app = FakeWorkbench([large_run("large-1", 1000, lambda at: "Succeeded" if at < 500 else "Pending")])
    async with app.run_test(size=(160, 45)) as pilot:
        with loop.measured("a run of 1,000 steps is previewed"):
            await _until(pilot, lambda: app.feed.runs.loaded)
            await pilot.pause(0.5)
        tune_garbage_collector()
        with loop.measured("a run of 1,000 steps opens"):
            app.open_run("large-1")
            await _until(pilot, lambda: any(each.count == 1000 for each in app.screen.query(StepList)))
            await pilot.pause(0.5)
        with loop.measured("the cursor goes from step to step"):
            await pilot.press("2", *["j"] * 30, "end", "home", "1", *["down"] * 10, *["right"] * 10)
            await pilot.pause(0.5)


async def changing(loop: MeasuredLoop) -> None:
    from tests.support.tui.fakes import FakeWorkbench
    from workbench.tui.startup import tune_garbage_collector

    app = FakeWorkbench([large_run("busy-1", 300, lambda _: "Pending")])
    async with app.run_test(size=(160, 45)) as pilot:
        await _until(pilot, lambda: app.feed.runs.loaded)
        tune_garbage_collector()
        for place in ("list", "run"):
            if place == "run":
                app.open_run("busy-1")
                await pilot.pause(1)
            states = [_state(done) for done in range(0, 300, 2)]
            # That was another turn.
            await pilot.pause(0.1)
            with loop.measured(f"a run of 300 steps changes every 20 ms, in the {place}"):
                for number in range(250):
                    app.change_run(replace(states[number % len(states)], resource_version=str(number)))
                    await asyncio.sleep(0.02)


def _state(done: int) -> Run:
    """A run of 300 steps of which so many are done."""
    return large_run("busy-1", 300, lambda at: "Succeeded" if at < done else "Running" if at < done + 10 else "Pending")


async def _until(pilot: Pilot[int], done: Callable[[], bool]) -> None:
    while not done():
        await pilot.pause(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stacks", action="store_true", help="print where slow turns were")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    scenes: tuple[Callable[[MeasuredLoop], Awaitable[None]], ...] = (million, large, changing)
    for scene in scenes:
        with asyncio.Runner(loop_factory=lambda: MeasuredLoop(with_stacks=options.stacks)) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, MeasuredLoop)
            runner.run(scene(loop))  # type: ignore[arg-type]
    signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
