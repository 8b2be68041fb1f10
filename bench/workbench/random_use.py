"""Plays random sequences of keys, mouse events, resizes, changes of runs and disconnections against the workbench.

.venv/bin/python bench/workbench/random_use.py --sequences 10000
.venv/bin/python bench/workbench/random_use.py --live --sequences 500

With a fake controller, or with `--live` on a sandbox of its own, whose runs start, print and end by themselves.
Prints each failure once, with the seed that finds it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[2]
_PER_APP = 10
"""Sequences that one app plays before it is started again."""
_PIPELINE = """\
version: v1alpha1
name: busy
steps:
- {name: hello, image: "busybox:1.36", commands: ["for n in $(seq 200); do echo line $n; done; sleep 1"]}
- {name: fails, image: "busybox:1.36", dependsOn: [hello], commands: ["echo ERROR here; exit 3"], allowFailure: true}
- {name: shard, image: "busybox:1.36", matrix: {n: [1, 2, 3, 4]}, commands: ["sleep 1; echo shard done"]}
- {name: slow, image: "busybox:1.36", dependsOn: [shard], commands: ["for n in $(seq 9); do echo $n; sleep 0.5; done"]}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--length", type=int, default=20, help="random acts in a sequence")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live", action="store_true", help="use a sandbox instead of a fake controller")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="c8s-random-") as folder:
        home = Path(folder)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
            os.environ.pop(name, None)
        for name in ("STATE", "DATA", "CONFIG", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
        # Logs that are saved go into the current folder.
        os.chdir(home)
        failures = _play_live(home, options) if options.live else _play_fake(home, options)
    print(f"{options.sequences} sequences of {options.length}: {len(failures)} different failures")
    return 1 if failures else 0


def _play_fake(home: Path, options: argparse.Namespace) -> dict[str, int]:
    from tests.tui.random_use import play_sequences

    failures: dict[str, int] = {}
    started_at = time.monotonic()
    for seed in range(options.seed, options.seed + -(-options.sequences // _PER_APP)):
        count = min(_PER_APP, options.sequences - (seed - options.seed) * _PER_APP)
        _note(failures, seed, play_sequences(home, seed, sequences=count, length=options.length))
        if (done := (seed - options.seed + 1) * _PER_APP) % 500 == 0:
            print(f"{done:6} sequences, {len(failures)} failures, {time.monotonic() - started_at:.0f} s", flush=True)
    return failures


def _play_live(home: Path, options: argparse.Namespace) -> dict[str, int]:
    c8s = [sys.executable, "-P", "-m", "workbench"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    (home / ".c8s.yaml").write_text(_PIPELINE)
    subprocess.run([*c8s, "up", "--name", "random"], check=True, env=environment)
    failures: dict[str, int] = {}
    try:
        for seed in range(options.seed, options.seed + -(-options.sequences // _PER_APP)):
            _note(failures, seed, _live_sequences(home, seed, options.length))
    finally:
        subprocess.run([*c8s, "down", "--name", "random", "--delete"], check=True, env=environment)
    return failures


async def _live_sequences(home: Path, seed: int, length: int) -> None:
    from tests.tui.random_use import RandomUser
    from workbench.sandbox import Sandboxes
    from workbench.tui.app import Workbench, WorkbenchOptions
    from workbench.tui.services.launcher import FileLauncher
    from workbench.tui.startup import connector

    endpoint, launcher = await Sandboxes().up("random"), FileLauncher(home / ".c8s.yaml")
    app = Workbench(connector(endpoint), WorkbenchOptions(endpoint_label="random", launcher=launcher, folder=home))
    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        for _ in range(_PER_APP):
            user = RandomUser(app, Random(seed))
            await user.play(length)
            await pilot.pause(0.2)
    for failure in app.failures.values():
        raise AssertionError(failure.text)


def _note(failures: dict[str, int], seed: int, playing: Coroutine[Any, Any, None]) -> None:
    """Play, and print a failure that is new."""
    try:
        asyncio.run(playing)
    except Exception as error:
        cause = getattr(error, "error", error)
        own = [frame for frame in traceback.extract_tb(cause.__traceback__) if "/workbench/" in frame.filename][-3:]
        at = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(own))
        text = f"{type(cause).__name__}: {cause} ({at})"[:1500]
        if text not in failures:
            print(f"seed {seed}: {text}", flush=True)
        failures.setdefault(text, seed)


if __name__ == "__main__":
    sys.exit(main())
