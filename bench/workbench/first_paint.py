"""How soon the workbench writes its first picture to a terminal, beside importing what it is made of.

    .venv/bin/python bench/workbench/first_paint.py [--rounds 15] [--base FOLDER]

Each round measures the import of Textual, the workbench, and with `--base` the workbench of another checkout with a
`.venv`, such as that of an earlier version, in turn, so that other work on the machine slows all of them. Processor
time is that of all threads of the process.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from statistics import median
from termios import TIOCSWINSZ
from time import monotonic, perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import describe, spread

ROOT = Path(__file__).parents[2]
_COLUMNS, _ROWS = 140, 45
_SHOWN = "›".encode()
"""It is between the breadcrumbs, which every screen has."""
_TIMEOUT = 60.0
_CONFIG = """
current-context: nobody
contexts: [{name: nobody, server: "http://127.0.0.1:9", tokenFile: token}]
"""


@dataclass(frozen=True)
class Cost:
    """Seconds until the first picture."""

    wall: float
    processor: float


class Measurement:
    """Starts programs in a terminal of their own, with an empty home and a controller that does not answer."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "project"
        self._folder.mkdir()
        config = home / "CONFIG" / "c8s"
        config.mkdir(parents=True)
        (config / "config.yaml").write_text(_CONFIG)
        (config / "token").write_text("none")
        (config / "token").chmod(0o600)
        self._env = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NO_COLOR")},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
            **{f"XDG_{kind}_HOME": str(home / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")},
        }

    def first_picture(self, python: Path, checkout: Path) -> Cost:
        command = [str(python), "-P", "-m", "workbench", "--context", "nobody"]
        main, terminal = os.openpty()
        ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        env = {**self._env, "PYTHONPATH": str(checkout)}
        began = perf_counter()
        process = subprocess.Popen(
            command, cwd=self._folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        try:
            _read_until_shown(main)
            return Cost(perf_counter() - began, _processor_time(process.pid))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            os.close(main)

    def import_textual(self, python: Path) -> Cost:
        program = "import textual, textual.app, time; print(time.process_time())"
        began = perf_counter()
        answer = subprocess.run(
            [str(python), "-P", "-c", program], cwd=self._folder, env=self._env, check=True, capture_output=True
        )
        return Cost(perf_counter() - began, float(answer.stdout))


def _read_until_shown(terminal: int) -> None:
    written, until = b"", monotonic() + _TIMEOUT
    while _SHOWN not in written:
        ready, _, _ = select.select([terminal], [], [], max(until - monotonic(), 0))
        if not ready:
            raise SystemExit(f"nothing was shown within {_TIMEOUT:.0f} s: {written[-2_000:]!r}")
        try:
            written += os.read(terminal, 65_536)
        except OSError as error:
            raise SystemExit(f"the workbench ended: {written.decode(errors='replace')[-2_000:]}") from error


def _processor_time(pid: int) -> float:
    """Seconds that all threads of a process have computed."""
    times = (each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(each.split()[0]) for each in times) / 1e9


def report(name: str, costs: Sequence[Cost]) -> None:
    processor, wall = [each.processor for each in costs], [each.wall for each in costs]
    print(f"  {name:24} processor time {spread(processor)}, wall {spread(wall)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--base", type=Path, help="checkout whose workbench is the measure")
    args = parser.parse_args()
    print(f"first picture: {describe()}; median (min to max) of {args.rounds}")
    python = Path(sys.executable)
    textual: list[Cost] = []
    here: list[Cost] = []
    base: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as folder:
        measurement = Measurement(Path(folder))
        for number in range(args.rounds + 1):
            found = [measurement.import_textual(python), measurement.first_picture(python, ROOT)]
            if args.base is not None:
                found.append(measurement.first_picture(args.base / ".venv" / "bin" / "python", args.base.absolute()))
            if number:
                # The first round fills the caches of the file system.
                for kept, cost in zip((textual, here, base), found, strict=False):
                    kept.append(cost)
    report("`import textual`", textual)
    report("first picture", here)
    ratio = median(one.processor / other.processor for one, other in zip(here, textual, strict=True))
    print(f"  relative to the import   {ratio:.2f} times its processor time")
    if base:
        report("first picture, base", base)
        for what in ("processor", "wall"):
            ratios = [getattr(one, what) / getattr(other, what) for one, other in zip(here, base, strict=True)]
            least = [min(getattr(each, what) for each in side) for side in (here, base)]
            print(f"  relative to the base     {median(ratios):.2f} times by {what} time (median of pairs), "
                  f"{least[0] / least[1]:.2f} times by the least of each")  # fmt: skip


if __name__ == "__main__":
    main()
