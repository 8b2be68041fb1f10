"""How soon the workbench shows itself, and what it costs while a step floods it or nothing happens.

.venv/bin/python bench/workbench/screen.py
"""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_START = """
import time; started_at = time.perf_counter()
from tests.support.tui.fakes import busy_app
app = busy_app()
async def main():
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.pause()
        print(time.perf_counter() - started_at)
import asyncio; asyncio.run(main())
"""
_FLOOD_LINES, _BATCH = 200_000, 1_000


def start() -> float:
    """Seconds from the first import to the first paint, in a fresh process without a terminal; best of 5."""
    command = [sys.executable, "-c", _START]
    return min(float(subprocess.check_output(command, cwd=ROOT, text=True)) for _ in range(5))


async def flood() -> tuple[float, float]:
    """Lines a second taken in and shown, and the worst lateness of the event loop in seconds."""
    from tests.support.tui.fakes import FakeWorkbench, run, step
    from workbench.client import Lines, LogLine, StreamKey
    from workbench.tui.widgets.log.view import LogView

    app = FakeWorkbench([run("flood-1", "Running", [step("work", (), "Running")])], open_run="flood-1")
    frames = app.controller.live_frames["work"] = asyncio.Queue()
    key, late = StreamKey("work", 1, "step"), 0.0
    batches = [
        Lines(key, first, tuple(LogLine(1_767_225_600_100_000, f"\x1b[32mline {first + n}\x1b[0m of a flood " * 3)
                                for n in range(_BATCH)))
        for first in range(1, _FLOOD_LINES, _BATCH)
    ]  # fmt: skip
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause(0.3)
        view, started_at = app.screen.query_one(LogView), time.perf_counter()
        for batch in batches:
            frames.put_nowait(batch)
        while view.line_count < _FLOOD_LINES or view.scroll_offset.y < view.max_scroll_y:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            late = max(late, time.perf_counter() - before - 0.005)
        return _FLOOD_LINES / (time.perf_counter() - started_at), late


async def idle(seconds: float = 5.0) -> float:
    """Share of a core that the app takes when nothing runs."""
    from tests.support.tui.fakes import FakeWorkbench, hello

    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.pause(0.5)
        started_at = time.process_time()
        await asyncio.sleep(seconds)
        return (time.process_time() - started_at) / seconds


def main() -> None:
    sys.path.insert(0, str(ROOT))
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    print(f"import to first paint     {start() * 1000:6.0f} ms")
    rate, late = asyncio.run(flood())
    print(f"one step floods         {rate:8,.0f} lines/s taken in and shown")
    print(f"  event loop late by      {late * 1000:6.0f} ms at most")
    print(f"idle                      {asyncio.run(idle()) * 100:6.2f} % of a core")


if __name__ == "__main__":
    main()
