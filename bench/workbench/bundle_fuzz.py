"""Ten thousand bundles that were made to harm: each is shown, or refused in words, within bounded time and memory.

    .venv/bin/python bench/workbench/bundle_fuzz.py [--files 10000] [--seed 1] [--show]

A file is a good bundle with one to four changes: values and keys of its documents, logs, artifacts, what the archive
says of itself, any byte (tests/support/hostile_bundles). It is read as the workbench and `c8s export --html` read it,
its screens are used with random keys, clicks and resizes, and of every twentieth a recording is made. `c8s serve` shows
the same screens.

A file has failed that raises anything but a refusal, writes anything, computes for more than `--limit` seconds, or
makes the process larger than `--memory` MiB; its seed repeats it: `--seed N --files 1`. A process plays 200 files.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
_PER_PROCESS = 200
_MIB = 1024 * 1024


class HangError(Exception):
    """A file took too long."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first file")
    parser.add_argument("--length", type=int, default=20, help="keys and clicks on the screens of a file")
    parser.add_argument("--limit", type=float, default=30, help="processor seconds for one file")
    parser.add_argument("--memory", type=int, default=1500, help="MiB of the process")
    parser.add_argument("--minutes", type=float, default=600, help="after which no more files are opened")
    parser.add_argument("--show", action="store_true", help="print what became of each file")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    return _play(options) if options.play else _watch(options)


def _watch(options: argparse.Namespace) -> int:
    """Play all files in processes, and sum up."""
    failures: dict[str, int] = {}
    counts, reasons, slowest, peak = Counter[str](), Counter[str](), list[tuple[float, int, str]](), 0
    started = time.monotonic()
    seed, end = options.seed, options.seed + options.files
    until = started + options.minutes * 60
    while seed < end and time.monotonic() < until:
        count = min(_PER_PROCESS, end - seed)
        command = [sys.executable, __file__, "--play", "--seed", str(seed), "--files", str(count)]
        command += ["--length", str(options.length), "--limit", str(options.limit), "--memory", str(options.memory)]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"PYTHONPATH": str(ROOT)}
            )
            assert process.stdout is not None
            with process:
                for line in process.stdout:
                    if time.monotonic() > until:
                        process.kill()
                        break
                    result = json.loads(line)
                    seed = result["seed"] + 1
                    counts["refused" if result["refused"] else "failed" if result["failure"] else "shown"] += 1
                    reasons[_kind(result["refused"] or "")] += bool(result["refused"])
                    slowest = sorted([*slowest, (result["seconds"], result["seed"], " ".join(result["changes"]))])[-5:]
                    peak = max(peak, result["peak"])
                    if options.show:
                        print(result["seed"], " ".join(result["changes"]), "->", result["refused"] or "shown")
                    if result["failure"] and result["failure"].split("\n")[0] not in failures:
                        failures[result["failure"].split("\n")[0]] = result["seed"]
                        print(f"seed {result['seed']} ({' '.join(result['changes'])}): {result['failure']}", flush=True)
            if process.returncode and time.monotonic() < until:
                errors.seek(0)
                said = errors.read().decode(errors="replace")[-3000:]
                print(f"seed {seed}: the process ended with {process.returncode}\n{said}", flush=True)
                failures[f"process of seed {seed}"] = seed
                counts["failed"] += 1
                seed += 1
    total, load = sum(counts.values()), os.getloadavg()[0]
    print(
        f"{total:,} files in {time.monotonic() - started:.0f} s, load {load:.1f}: {counts['shown']:,} shown,"
        f" {counts['refused']:,} refused for {len(+reasons)} reasons, {len(failures)} different failures;"
        f" largest process {peak / _MIB:.0f} MiB"
    )
    print("slowest: " + "; ".join(f"{seconds:.1f} s, seed {at} ({what})" for seconds, at, what in reversed(slowest)))
    return 1 if failures else 0


def _kind(message: str) -> str:
    return "".join(char for char in message.partition(": ")[2] if not char.isdigit())[:40]


def _play(options: argparse.Namespace) -> int:
    """Play consecutive files in this process, and print a line for each."""
    results = os.dup(1)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (options.memory * _MIB, options.memory * _MIB))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "EDITOR", "VISUAL"):
        os.environ.pop(name, None)
    from tests.support.hostile_bundles.make import base_bundles
    from tests.support.tui.hostile_bundle_use import use_hostile_bundle
    from tests.support.tui.styles import parsed_styles

    def hang(_: int, frame: FrameType | None) -> None:
        where = " < ".join(
            f"{Path(each.filename).name}:{each.lineno}" for each in reversed(traceback.extract_stack(frame)[-8:])
        )
        raise HangError(f"more than {options.limit:.0f} s at {where}")

    signal.signal(signal.SIGPROF, hang)
    with tempfile.TemporaryDirectory() as folder, parsed_styles():
        bases = base_bundles(Path(folder))
        for seed in range(options.seed, options.seed + options.files):
            result = {"seed": seed, "changes": [], "refused": None, "seconds": 0.0, "peak": 0, "failure": None}
            started = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, options.limit)
            try:
                outcome = use_hostile_bundle(seed, bases, options.length)
                result |= {"changes": outcome.changes, "refused": outcome.refused, "peak": outcome.peak}
            except Exception as error:  # Each is a finding.
                result["failure"] = _describe(error)
            signal.setitimer(signal.ITIMER_PROF, 0)
            result["seconds"] = time.process_time() - started
            os.write(results, json.dumps(result).encode() + b"\n")
    return 0


def _describe(error: BaseException) -> str:
    cause = error.__cause__ or error
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if "/workbench/" in frame.filename or "/controller/" in frame.filename][-4:]
    at = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed([*own, *frames[-2:]]))
    acts = f"\n    {error}"[:2000] if error.__cause__ is not None else ""
    return f"{type(cause).__name__}: {cause}".replace("\n", " ")[:500] + f" ({at}){acts}"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
