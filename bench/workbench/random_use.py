"""Plays random sequences of keys, mouse events, resizes, changes of runs and disconnections against the workbench.

.venv/bin/python bench/workbench/random_use.py --sequences 10000
.venv/bin/python bench/workbench/random_use.py --scene tour --sequences 500
.venv/bin/python bench/workbench/random_use.py --live --sequences 500

With a fake controller, in virtual time, on all scenes or the one with `--scene` (workbench, bundle, start, empty,
read-only, tour); or with `--live` on a sandbox, whose runs start, print and end by themselves. A
sequence is 20 acts (about 45 keys, clicks and changes), and ends when the app has
read all keys of it and Escape has led back to the first screen. Some share an app; the next one starts on its first
screen.

Prints each failure once, with the seeds that its app has played. `--seed N --sequences 1` plays the last of them alone,
or all of them from the first where it needs what the app remembers of those before. Processes play the
seeds (`--jobs`). One has hung that computes for more than 10 seconds at a sequence, or on a sandbox in a turn of the
event loop, or that takes longer than `--limit` for a seed: the stacks of all its threads are printed, and the seed is a
failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[2]
GROUP = 5
"""Sequences that share an app; as in `tests.support.tui.random_use`, which is not imported where nothing is played."""
_PER_APP = 10
"""Sequences that one app plays on a sandbox before it is started again."""
_PER_PROCESS = 500
"""Seeds that one process plays."""
_STACKS = 3
"""How often the stacks of a process that hangs are printed, a second apart: a loop without an end has several."""
_TURN = 10.0
"""Processor seconds after which a process has hung; they do not count what other programs compute."""
_PIPELINE = """\
version: v1alpha1
name: busy
steps:
- {name: hello, image: "busybox:1.36", commands: ["for n in $(seq 200); do echo line $n; done; sleep 1"]}
- {name: fails, image: "busybox:1.36", dependsOn: [hello], commands: ["echo ERROR here; exit 3"], allowFailure: true}
- {name: shard, image: "busybox:1.36", matrix: {dimensions: {n: [a, b, c, d]}}, commands: ["sleep 1; echo done"]}
- {name: slow, image: "busybox:1.36", dependsOn: [shard], commands: ["for n in $(seq 9); do echo $n; sleep 0.5; done"]}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--length", type=int, default=20, help="random acts in a sequence")
    parser.add_argument("--seed", type=int, default=1, help="of the first sequence")
    parser.add_argument("--jobs", type=int, default=1, help="processes that play at the same time")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one seed")
    parser.add_argument("--live", action="store_true", help="use a sandbox instead of a fake controller")
    parser.add_argument("--scene", help="play on this scene only")
    parser.add_argument("--play", type=int, nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play is not None:
        return _play(options)
    with tempfile.TemporaryDirectory(prefix="c8s-random-") as folder:
        _use_folder(Path(folder))
        if options.live:
            return _on_sandbox(Path(folder), options)
        return asyncio.run(_Watch(options).run())


def _use_folder(home: Path) -> None:
    """Keep everything that the workbench saves in this folder."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "EDITOR", "VISUAL"):
        os.environ.pop(name, None)
    # The order of sets decides nothing, or the same each time.
    os.environ["PYTHONHASHSEED"] = "0"
    for name in ("STATE", "DATA", "CONFIG", "CACHE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
    os.environ["XDG_DOWNLOAD_DIR"] = str(home / "downloads")
    os.chdir(home)


def _on_sandbox(home: Path, options: argparse.Namespace) -> int:
    c8s = [sys.executable, "-P", "-m", "workbench"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    (home / ".c8s.yaml").write_text(_PIPELINE)
    subprocess.run([*c8s, "up", "--name", "random", "--runtime", "process"], check=True, env=environment)
    try:
        return asyncio.run(_Watch(options).run())
    finally:
        subprocess.run([*c8s, "down", "--name", "random", "--delete"], check=True, env=environment)


class _Watch:
    """Starts the processes that play, and collects what they find."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        count = -(-options.sequences // _PER_APP) if options.live else options.sequences
        seeds = list(range(options.seed, options.seed + count))
        groups = [
            list(group) for _, group in itertools.groupby(seeds, lambda seed: seed if options.live else seed // GROUP)
        ]
        self._groups = list(reversed(groups))
        self._played = 0
        self._acts = 0
        self._computed = 0.0
        self._seen: Counter[str] = Counter()
        """How many sequences have been on a screen."""
        self._failures: set[str] = set()
        self._last: dict[int, list[int]] = {}
        """The seeds that each process has got last."""
        self._started_at = time.monotonic()

    async def run(self) -> int:
        playing = asyncio.current_task()
        assert playing is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.jobs):
                    group.create_task(self._keep_playing())
        finally:
            # Also after Ctrl-C and SIGTERM.
            self._report()
            print("screens: " + ", ".join(f"{name} {count:,}" for name, count in self._seen.most_common()))
        return 1 if self._failures else 0

    def _report(self) -> None:
        print(
            f"{self._played:,} sequences of {self._options.length} acts ({self._acts:,} keys, clicks and changes) in "
            f"{time.monotonic() - self._started_at:.0f} s ({self._computed:.0f} s of processor time), "
            f"load {os.getloadavg()[0]:.1f}: {len(self._failures)} different failures",
            flush=True,
        )

    async def _keep_playing(self) -> None:
        """Play seeds in a process, and in a new one after a seed that has hung."""
        while self._groups:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, __file__, "--play", "--length", str(self._options.length)),
                *("--limit", str(self._options.limit)),
                *(["--live"] if self._options.live else []),
                *(["--scene", self._options.scene] if self._options.scene is not None else []),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, limit=2**22,
            )  # fmt: skip
            assert process.stderr is not None
            errors = asyncio.create_task(process.stderr.read())
            async for result in self._results(process):
                self._count(result)
            await process.wait()
            found = (await errors).decode(errors="replace")
            if process.returncode not in (0, None):
                seeds = self._last[process.pid]
                print(f"seeds {seeds}: the process ended with {process.returncode}\n{found[-20_000:]}", flush=True)
                self._failures.add(f"process of seeds {seeds}")

    async def _results(self, process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
        """Give the process one group of seeds after the other; ends when there are no more, or it hangs or dies."""
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(_PER_PROCESS):
            if not self._groups:
                break
            seeds = self._last[process.pid] = self._groups.pop()
            process.stdin.write(f"{json.dumps(seeds)}\n".encode())
            line = await process.stdout.readline()
            if not line:
                return
            yield json.loads(line)
        process.stdin.close()
        await process.wait()

    def _count(self, result: dict[str, Any]) -> None:
        before = self._played
        self._played += result["sequences"]
        self._acts += result["acts"]
        self._computed += result["computed"]
        self._seen.update(result["seen"])
        for text in result["failures"]:
            kind = text.split("\n")[0]
            if kind not in self._failures:
                print(text, flush=True)
            self._failures.add(kind)
        if self._played // 100 > before // 100:
            self._report()


def _play(options: argparse.Namespace) -> int:
    """Play the groups of seeds that are read, one in a line, and print what became of each."""
    stacks = itertools.count(1)

    def report_hang(*_: object) -> None:
        faulthandler.dump_traceback(all_threads=True)
        if next(stacks) == _STACKS:
            os._exit(3)

    signal.signal(signal.SIGPROF, report_hang)
    results = os.dup(1)
    # What the app prints must not be taken for a result.
    os.dup2(2, 1)
    sys.path.insert(0, str(ROOT))
    from tests.support.tui.styles import parsed_styles
    from workbench.tui.startup import tune_garbage_collector

    play = _play_live if options.live else partial(_play_group, scene=options.scene)
    tune_garbage_collector()
    with parsed_styles():
        for line in sys.stdin:
            # Also where no Python code runs any more.
            faulthandler.dump_traceback_later(options.limit, exit=True)
            started_at, users, failures = time.process_time(), list[Any](), list[str]()
            play(json.loads(line), options.length, users, failures)
            faulthandler.cancel_dump_traceback_later()
            result = {
                "sequences": len(users),
                "acts": sum(len(user.log) for user in users),
                "seen": [name for user in users for name in user.seen],
                "computed": time.process_time() - started_at,
                "failures": failures,
            }
            os.write(results, f"{json.dumps(result)}\n".encode())
    return 0


def _play_group(seeds: list[int], length: int, users: list[Any], failures: list[str], scene: str | None = None) -> None:
    """Play seeds with a fake controller; after a failure the rest of them on a new app."""
    from tests.support.tui.random_use import SequenceError, play_sequences

    def count(user: Any) -> None:
        signal.setitimer(signal.ITIMER_PROF, _TURN, 1)
        users.append(user)

    while seeds:
        signal.setitimer(signal.ITIMER_PROF, _TURN, 1)
        try:
            play_sequences(seeds, length, count, scene)
            seeds = []
        except SequenceError as error:
            failures.append(_describe(error))
            seeds = [seed for seed in seeds if seed > error.seeds[-1]]
    signal.setitimer(signal.ITIMER_PROF, 0)


def _play_live(seeds: list[int], length: int, users: list[Any], failures: list[str]) -> None:
    """Play some sequences with a sandbox, all from the same seed."""
    try:
        asyncio.run(_watched(_live_sequences(seeds[0], length, users)))
    except Exception as error:  # The report of a benchmark that looks for all of them.
        failures.append(f"{_describe(error)}\n    seed {seeds[0]}")
    signal.setitimer(signal.ITIMER_PROF, 0)


async def _watched(play: Coroutine[Any, Any, None]) -> None:
    """Report a turn of the event loop that takes too long."""

    async def watch() -> None:
        while True:
            signal.setitimer(signal.ITIMER_PROF, _TURN, 1)
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    try:
        await play
    finally:
        watching.cancel()


async def _live_sequences(seed: int, length: int, users: list[Any]) -> None:
    from tests.support.tui.random_scene import Scene
    from tests.support.tui.random_use import RandomUser
    from workbench.sandbox import Sandboxes
    from workbench.tui.app import Workbench, WorkbenchOptions
    from workbench.tui.services.launcher import FileLauncher
    from workbench.tui.startup import connector

    home = Path.cwd()
    endpoint, launcher = await Sandboxes().up("random"), FileLauncher(home / ".c8s.yaml")
    options = WorkbenchOptions(endpoint_label="random", launcher=launcher, folder=home)
    random = Random(seed)
    while len(users) < _PER_APP:
        # A new app also after one that was left, as by a command of the palette.
        app = Workbench(connector(endpoint), options)
        async with app.run_test(size=(140, 45), notifications=True):
            user = None
            while len(users) < _PER_APP and (user is None or user.goes_on):
                # By processor time: a process that gets no processor does not hang.
                user = RandomUser(Scene(app), random, time.process_time)
                # Without what an earlier user has saved in the editor, the pipeline can be run.
                (home / ".c8s.yaml").write_text(_PIPELINE)
                user.press("r")
                await user.play(length)
                await user.rest()
                await user.leave()
                users.append(user)
        for failure in app.failures.values():
            raise AssertionError(failure.text)


def _describe(error: BaseException) -> str:
    """The failure and where it was raised in the first line, then what was done."""
    acts = f"\n    {error}" if error.__cause__ is not None else ""
    cause = error.__cause__ or error
    cause = getattr(cause, "error", cause)
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if "/workbench/" in frame.filename][-3:]
    # Where it was raised, and the last places of the workbench on the way there.
    shown = [*(frame for frame in own if frame not in frames[-5:]), *frames[-5:]]
    at = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(shown))
    kind = f"{type(cause).__name__}: {cause}".replace("\n", " ")[:1000]
    return f"{kind} ({at}){acts}"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(main())
