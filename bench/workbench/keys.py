"""How soon a key is seen on the screen while four steps log 20,000 lines/s, and how fast 10,000 runs are scrolled.

    .venv/bin/python bench/workbench/keys.py [--base FOLDER] [--seconds 10]

The workbench runs in a terminal of its own, with a fake controller that makes the lines: a key is seen when the
terminal gets the text that it leads to. Processor time is that of the thread with the event loop, lines included.
`--base` measures another checkout with a `.venv` in turn, such as that of an earlier version.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

ROOT = Path(__file__).parents[2]
_STEPS, _RATE, _BATCH = 4, 20_000, 100
_COLUMNS, _ROWS = 160, 45
_PAUSE = 0.05
_TIMEOUT = 30.0
_PANES = ("steps", "log")


async def flooded(seconds: float, result: Path) -> None:
    """Opens the workbench on a run whose steps log fast, and writes how many lines there were and are."""
    from tests.support.tui.fakes import FakeWorkbench, run, step
    from workbench.client import BacklogEnd, Lines, LogLine, StreamEnd, StreamKey
    from workbench.tui.startup import tune_garbage_collector
    from workbench.tui.widgets.log.view import LogView

    names = [f"step{number}" for number in range(_STEPS)]
    app = FakeWorkbench([run("flood-1", "Running", [step(name, (), "Running") for name in names])], open_run="flood-1")
    frames: asyncio.Queue[object] = asyncio.Queue()
    sent = dict.fromkeys(names, 0)

    async def stream(*_: object, **__: object):  # type: ignore[no-untyped-def]
        while True:
            yield await frames.get()

    async def flood() -> None:
        for name in names:
            frames.put_nowait(BacklogEnd(StreamKey(name, 1, "step")))
        started_at = time.perf_counter()
        while (passed := time.perf_counter() - started_at) < seconds:
            while sum(sent.values()) < passed * _RATE:
                for name in names:
                    numbers = range(sent[name], sent[name] + _BATCH)
                    texts = (f"\x1b[32mline {number}\x1b[0m of a flood of {name}" for number in numbers)
                    lines = tuple(LogLine(1_767_225_600_100_000, text) for text in texts)
                    frames.put_nowait(Lines(StreamKey(name, 1, "step"), sent[name] + 1, lines))
                    sent[name] += _BATCH
            await asyncio.sleep(0.01)
        for name in names:
            frames.put_nowait(StreamEnd(StreamKey(name, 1, "step"), sent[name]))
        view = app.screen.query_one(LogView)
        async with asyncio.timeout(_TIMEOUT):
            while view.line_count < max(sent.values()):
                await asyncio.sleep(0.01)
        result.write_text(json.dumps({"sent": max(sent.values()), "shown": view.line_count}))
        app.exit()

    app.controller.stream_logs = stream  # type: ignore[method-assign]
    tune_garbage_collector()
    app.call_later(lambda: app.run_worker(flood()))
    await app.run_async()


class Terminal:
    """The workbench of a checkout in a terminal."""

    def __init__(self, python: Path, checkout: Path, seconds: float, result: Path) -> None:
        main, terminal = os.openpty()
        ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        env |= {"PYTHONPATH": str(checkout), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        command = [str(python), "-P", str(Path(__file__).absolute()), "--flooded", str(result)]
        self._process = subprocess.Popen([*command, "--seconds", str(seconds)], env=env, cwd=checkout,
                                         stdin=terminal, stdout=terminal, stderr=terminal)  # fmt: skip
        os.close(terminal)
        self._main = main

    def wait_for(self, text: str) -> bool:
        """Read until the workbench has written a text; False if it has ended."""
        written, wanted, until = b"", text.encode(), time.monotonic() + _TIMEOUT
        while wanted not in written:
            if time.monotonic() > until:
                raise SystemExit(f"{text!r} was not shown: {written[-2_000:]!r}")
            if select.select([self._main], [], [], 0.1)[0]:
                try:
                    written = written[-200:] + os.read(self._main, 65_536)
                except OSError:
                    return False
            elif self._process.poll() is not None:
                return False
        return True

    def press(self, key: str, then: str = "") -> tuple[float, float] | None:
        """Wall and processor time until the text is shown; None if the workbench has ended."""
        self._read_rest()
        began, computed = time.perf_counter(), self._processor_time()
        try:
            os.write(self._main, key.encode())
        except OSError:
            return None
        if then and not self.wait_for(then):
            return None
        return time.perf_counter() - began, self._processor_time() - computed

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._process.poll() is None:
            if select.select([self._main], [], [], left)[0]:
                self._read_rest()

    def _read_rest(self) -> None:
        while select.select([self._main], [], [], 0)[0]:
            try:
                os.read(self._main, 65_536)
            except OSError:
                return

    def _processor_time(self) -> float:
        try:
            return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            return 0.0

    def close(self) -> None:
        while self._process.poll() is None:
            self.pause(0.1)
        os.close(self._main)


def keys(pane: str, python: Path, checkout: Path, seconds: float) -> str:
    """Presses keys that lead to another step, or back to the end of a log, until no more lines come."""
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as folder:
        result = Path(folder) / "lines.json"
        terminal = Terminal(python, checkout, seconds, result)
        terminal.wait_for("of a flood")
        terminal.press("2" if pane == "steps" else "3")
        terminal.pause(0.3)
        found: list[tuple[float, float]] = []
        at = 0
        while True:
            if pane == "steps":
                down = at == 0
                at = 1 if down else 0
                took = terminal.press("j" if down else "k", f"of a flood of step{at}")
            else:
                terminal.press("k")
                terminal.pause(_PAUSE)
                took = terminal.press("G", "following")
            if took is None:
                break
            found.append(took)
            terminal.pause(_PAUSE)
        terminal.close()
        lines = json.loads(result.read_text())
    wall, computed = ([each[which] for each in found[:-1]] for which in (0, 1))
    return (
        f"key to paint in the {pane} beside {_RATE:,} lines/s of {_STEPS} steps: {_spread(wall)} ({len(wall)} keys), "
        f"processor time {_spread(computed)}; {lines['shown']:,} of {lines['sent']:,} lines of the first step are there"
    )


def _spread(seconds: Sequence[float]) -> str:
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="checkout that is measured in turn")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--flooded", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.flooded is not None:
        asyncio.run(flooded(args.seconds, args.flooded))
        return
    sys.path[:0] = [str(ROOT), str(Path(__file__).parents[1])]
    from machine import describe

    print(describe())
    for pane in _PANES:
        print(keys(pane, Path(sys.executable), ROOT, args.seconds))
        if args.base is not None:
            python = args.base / ".venv" / "bin" / "python"
            print("base:", keys(pane, python, args.base.absolute(), args.seconds))
    asyncio.run(scroll())


if __name__ == "__main__":
    main()
