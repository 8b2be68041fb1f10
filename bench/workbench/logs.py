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
    from tests.tui.fakes import FakeWorkbench, run, step
    from workbench.client.models import LogSummary
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
        started_at = time.perf_counter()
        app.open_run("long-1")
        late, view = 0.0, None
        while view is None or view.line_count < 1_000_000:
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            late = max(late, time.perf_counter() - before - 0.002) if view is not None and view.line_count else late
            view = next(iter(app.screen.query(LogView)), None)
            if view is not None and view.line_count and not first and view.display:
                first = time.perf_counter() - started_at
        whole = time.perf_counter() - started_at
    print(
        f"1,000,000 lines: first screen after {first * 1000:.0f} ms, whole after {whole * 1000:.0f} ms, "
        f"event loop late by {late * 1000:.0f} ms at most"
    )


def main() -> None:
    sys.path.insert(0, str(ROOT))
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    search()
    asyncio.run(open_million())


if __name__ == "__main__":
    main()
