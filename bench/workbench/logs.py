"""What a log of a million lines costs in the workbench, and how long a search through 280 MB takes.

.venv/bin/python bench/workbench/logs.py
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from workbench.tui.widgets.log.view import LogView

ROOT = Path(__file__).parents[2]
_PLAIN = (
    b"2026-01-01 INFO  module: a line of about a hundred and thirty characters of some program, number %d, " + b"x" * 30
)
_COLOURED = _PLAIN.replace(b"INFO ", b"\x1b[32mINFO\x1b[0m ")
_SEARCHED = 280_000_000


def _chunk(line: bytes, count: int = 2_000) -> bytes:
    return b"".join(line % number + b"\n" for number in range(count))


def search() -> None:
    from workbench.logs.log_file import LogFile
    from workbench.logs.search.matches import MatchIndex
    from workbench.logs.search.query import Query

    for name, line in (("plain", _PLAIN), ("with colours", _COLOURED)):
        with LogFile() as log:
            chunk = _chunk(line)
            for _ in range(_SEARCHED // len(chunk)):
                log.extend(chunk)
            for words, query in (("text", Query("needle")), ("regex", Query("need[a-z]+", regex=True))):
                matches, started_at, longest = MatchIndex(log, query), time.perf_counter(), 0.0
                more = True
                while more:
                    before = time.perf_counter()
                    more = matches.advance()
                    longest = max(longest, time.perf_counter() - before)
                took = time.perf_counter() - started_at
                print(f"280 MB {name:13} {words:6} {took:6.2f} s, {longest * 1000:5.1f} ms at a time at most")
            print(f"  {log.memory / len(log):.1f} bytes of memory a line, {len(log):,} lines")


async def open_million() -> None:
    from tests.support.tui.fakes import FakeWorkbench, run, step
    from workbench.client.models import LogSummary
    from workbench.tui.startup import tune_garbage_collector
    from workbench.tui.widgets.log.view import LogView

    work = step("work", (), "Succeeded")
    stored = LogSummary(1_000_000, 130_000_000, None, True, None)
    work = replace(work, attempts=(replace(work.attempts[0], log=stored),))
    app = FakeWorkbench([run("long-1", "Succeeded", [work])])
    data, first = _chunk(_PLAIN), 0.0

    async def blocks(*_: object, **__: object) -> AsyncGenerator[bytes, None]:
        for _piece in range(1_000_000 // 2_000):
            yield data

    app.controller.log_blocks = blocks  # type: ignore[method-assign]
    async with app.run_test(size=(160, 45)) as pilot:
        while "long-1" not in [one.name for one in app.feed.runs.newest]:
            await pilot.pause(0.01)
        tune_garbage_collector()
        idle = Lateness()
        await asyncio.sleep(3)
        print(f"{idle.stop()}, while nothing happens")
        started_at, opening = time.perf_counter(), Lateness()
        app.open_run("long-1")
        view = None
        while view is None or view.line_count < 1_000_000:
            await asyncio.sleep(0.002)
            view = next(iter(app.screen.query(LogView)), None)
            if view is not None and view.line_count and not first and view.display:
                first = time.perf_counter() - started_at
        whole = time.perf_counter() - started_at
        print(
            f"1,000,000 lines: first screen after {first * 1000:.0f} ms, whole after {whole * 1000:.0f} ms, "
            f"{opening.stop()}"
        )
        await use_million(pilot, view)


async def use_million(pilot: Pilot[int], view: LogView) -> None:
    """Find a text that is nowhere, while it is typed, and filter by one that is in a few lines."""
    from workbench.tui.widgets.log.pane import LogPane

    pane = pilot.app.screen.query_one(LogPane)
    await pilot.press("3")
    for name, key, text in (("found", "slash", "needle"), ("filtered", "ampersand", "1999")):
        started_at, late = time.perf_counter(), Lateness()
        await pilot.press(key, *text, "enter")
        await pilot.pause()
        while True:
            index = pane.search.matches if name == "found" else pane.search.filter
            if index is not None and index.complete:
                break
            await asyncio.sleep(0.002)
        print(
            f"1,000,000 lines {name}: {len(index):,} lines after {time.perf_counter() - started_at:.2f} s, "
            f"{late.stop()}"
        )


class Lateness:
    """Measures from its creation how late the event loop is at most, and the processor time that it has spent then.

    The second does not depend on what else the machine does.
    """

    def __init__(self) -> None:
        self._worst = self._computed = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.002)
            self._worst = max(self._worst, time.perf_counter() - before - 0.002)
            self._computed = max(self._computed, time.thread_time() - computed)

    def stop(self) -> str:
        self._task.cancel()
        return f"event loop late by {self._worst * 1000:.0f} ms at most, computing {self._computed * 1000:.0f} ms"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    search()
    asyncio.run(open_million())


if __name__ == "__main__":
    main()
