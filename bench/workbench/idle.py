"""What the workbench takes while nothing happens: on each of its screens, in a terminal, on a sandbox.

    .venv/bin/python bench/workbench/idle.py [--seconds 60] [--base FOLDER]

The processor time of each thread is read from the kernel before and after; the main thread is that of the event loop.
A wake-up is a thread that slept and has run again: their number does not depend on other work on the machine, the time
of each does. The last two screens are beside a run that is active and prints nothing. `--base` is a checkout with a
`.venv`, such as that of an earlier version, which is measured afterwards.
"""

from __future__ import annotations

import argparse
import os
import select
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import describe

ROOT = Path(__file__).parents[2]
_COLUMNS, _ROWS = 120, 40
_TIMEOUT = 120.0
_SETTLE = 10.0
"""Seconds after a key until what it has started has ended, such as reading the statistics of the pipeline."""
_PIPELINE = """\
version: v1alpha1
name: quiet
steps:
- {{name: first, image: "busybox:1.36", commands: ["echo begun"]}}
- {{name: second, image: "busybox:1.36", dependsOn: [first], commands: ["sleep {seconds}"]}}
"""


class Terminal:
    """The workbench in a terminal, whose output is read all the time."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._ours, theirs = os.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        """Read until a text is drawn behind all that was read before."""
        written, until = b"", monotonic() + _TIMEOUT
        while text.encode() not in written:
            if monotonic() > until:
                raise SystemExit(f"{text!r} was not shown: {written.decode(errors='replace')[-2000:]!r}")
            written += self._read(0.1)

    def rest(self, seconds: float) -> int:
        """Read for some seconds; the number of bytes."""
        count, until = 0, monotonic() + seconds
        while (left := until - monotonic()) > 0:
            count += len(self._read(left))
        return count

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def _read(self, seconds: float) -> bytes:
        if not select.select([self._ours], [], [], seconds)[0]:
            return b""
        try:
            return os.read(self._ours, 65_536)
        except OSError as error:
            raise SystemExit("the workbench has ended") from error

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        os.close(self._ours)


def threads(pid: int) -> dict[str, tuple[float, int]]:
    """Seconds that each thread of a process has computed, and how often it has slept."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        computed = int((task / "schedstat").read_text().split()[0]) / 1e9
        found[task.name] = computed, int(status["voluntary_ctxt_switches"])
    return found


def measure(name: str, terminal: Terminal, seconds: float) -> None:
    """Print what the threads of the workbench take on the screen that it shows."""
    pid = terminal.process.pid
    terminal.rest(_SETTLE)
    before, began = threads(pid), monotonic()
    written = terminal.rest(seconds)
    after, took = threads(pid), monotonic() - began
    shares = {
        task: ((computed - before.get(task, (0.0, 0))[0]) / took, (slept - before.get(task, (0.0, 0))[1]) / took)
        for task, (computed, slept) in after.items()
    }
    main, main_woken = shares.pop(str(pid))
    others, others_woken = (sum(each) for each in zip((0.0, 0.0), *shares.values(), strict=True))
    print(
        f"  {name:24} {(main + others) * 100:6.3f} % of a core; main thread {main * 100:.3f} % with {main_woken:.1f} "
        f"wake-ups a second, {len(shares)} others {others * 100:.3f} % with {others_woken:.1f}; "
        f"{written / took:.0f} bytes a second drawn, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


class Sandbox:
    """A version of c8s with a sandbox in a home of its own, and a folder of each of two pipelines."""

    def __init__(self, home: Path, python: Path, checkout: Path) -> None:
        self._c8s = [str(python), "-P", "-m", "workbench"]
        self._env = {
            **{name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR")},
            **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE", "DATA")},
            "PYTHONPATH": str(checkout),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
        }
        self._folders = {"ended": home / "ended", "active": home / "active"}
        for folder, seconds in zip(self._folders.values(), (0, 100_000), strict=True):
            folder.mkdir()
            (folder / ".c8s.yaml").write_text(_PIPELINE.format(seconds=seconds))

    def __call__(self, *arguments: str) -> None:
        """Run a command of c8s where the pipeline ends."""
        done = subprocess.run(
            [*self._c8s, *arguments],
            cwd=self._folders["ended"], env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"c8s {' '.join(arguments)}: {done.stdout}")

    @contextmanager
    def workbench(self, folder: str) -> Iterator[Terminal]:
        terminal = Terminal(self._c8s, self._folders[folder], self._env)
        try:
            yield terminal
        finally:
            terminal.close()


def measure_version(python: Path, checkout: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="c8s-idle-") as folder:
        c8s = Sandbox(Path(folder), python, checkout)
        c8s("up", "--runtime", "process")
        try:
            c8s("run")
            with c8s.workbench("ended") as terminal:
                terminal.wait_for("quiet-1")
                measure("list of runs", terminal, seconds)
                terminal.press("\r")
                terminal.wait_for("Back")
                measure("run that has ended", terminal, seconds)
                terminal.press("\x1b")
                terminal.rest(1)
                terminal.press("e")
                terminal.wait_for("saved")
                measure("editor", terminal, seconds)
            with c8s.workbench("active") as terminal:
                terminal.wait_for("quiet-1")
                terminal.press("r")
                terminal.wait_for("Back")
                measure("run that is active", terminal, seconds)
                terminal.press("\x1b")
                measure("list with that run", terminal, seconds)
        finally:
            c8s("down", "--delete")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each screen")
    parser.add_argument("--base", type=Path, help="another checkout to measure")
    options = parser.parse_args()
    print(describe())
    measure_version(Path(sys.executable), ROOT, options.seconds)
    if options.base is not None:
        print(f"the version in {options.base}")
        measure_version(options.base / ".venv" / "bin" / "python", options.base, options.seconds)


if __name__ == "__main__":
    main()
