"""How soon `c8s demo` shows its screen, and how soon after the sandbox is ready its first running step.

The controller imports its API and its operator on the way to that step: the same imports are measured alone, beside it,
so that other work on the machine slows both. A first round compiles the modules, as an installation does, and is not
counted.

.venv/bin/python bench/workbench/demo.py
"""

from __future__ import annotations

import os
import platform
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

ROOT = Path(__file__).parents[2]
_TRIES = 5
_SECONDS = 120.0
_ALTERNATE_SCREEN = b"\x1b[?1049h"
_RUNNING = re.compile("◐".encode() + rb"(?:\x1b\[[0-9;]*m| )*(?:lint|unit|catalogue)")
"""The sign of a step that runs, before its name."""
_CONTROLLER = (
    "import controller.runtime.manager\n"
    "from controller.runtime.deferred_imports import import_all\n"
    "from controller.runtime.late_modules import LATE_MODULES\n"
    "import_all(LATE_MODULES)"
)


class _Terminal:
    """Reads what a program writes, and when."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.started_at = time.perf_counter()
        self._ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.written = b""

    def read_until(self, text: bytes | re.Pattern[bytes], start: int = 0) -> tuple[float, int]:
        """When a text was written behind a position, in seconds since the start, and where it ends."""
        until = time.perf_counter() + _SECONDS
        pattern = re.compile(re.escape(text)) if isinstance(text, bytes) else text
        while (found := pattern.search(self.written, start)) is None:
            if time.perf_counter() > until:
                raise TimeoutError(f"{text!r} was not written: {self.written[-2000:]!r}")
            if select.select([self._ours], [], [], 0.1)[0]:
                self.written += os.read(self._ours, 65_536)
        return time.perf_counter() - self.started_at, found.end()

    def close(self) -> None:
        os.write(self._ours, b"q")
        reader = threading.Thread(target=self._drain, daemon=True)
        reader.start()
        self.process.wait(60)

    def _drain(self) -> None:
        try:
            while os.read(self._ours, 65_536):
                pass
        except OSError:
            pass  # It has ended.


def _processor_time(process: int) -> float:
    """Seconds that a process has computed, with its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _processor_times(command: int) -> dict[str, float]:
    """Seconds that the command and the processes of its sandbox have computed."""
    from workbench.sandbox.paths import SandboxPaths, read_state, state_root

    state = read_state(SandboxPaths.named("bench", state_root()))
    processes = {"command": command} | ({name: child.pid for name, child in state.children.items()} if state else {})
    return {name: _processor_time(process) for name, process in processes.items()}


def _time_ready(terminal: _Terminal, found: list[float], computed: dict[str, float]) -> None:
    """Note when the controller of the sandbox is ready, and how long each process has computed then."""
    from workbench.sandbox.paths import SandboxPaths, read_state, state_root
    from workbench.sandbox.status import check_ready

    folder = SandboxPaths.named("bench", state_root())
    while terminal.process.poll() is None:
        state = read_state(folder) if folder.root.is_dir() else None
        if state is not None and check_ready(state.api_port).ready:
            found.append(time.perf_counter() - terminal.started_at)
            computed |= _processor_times(terminal.process.pid)
            return
        time.sleep(0.01)


@dataclass(frozen=True)
class _Figures:
    """Seconds of one demo."""

    screen: float
    """From the command to its screen."""
    ready: float
    """From the command to a sandbox that is ready."""
    later: float
    """From there to the first running step."""
    computed: Mapping[str, tuple[float, float]]
    """By process, how long it had computed when the sandbox was ready, and when the step was seen."""


def demo() -> _Figures:
    """Start a demo, and end it once its first step runs."""
    environment = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR")}
    c8s = [sys.executable, "-P", "-m", "workbench"]
    terminal = _Terminal([*c8s, "demo", "--name", "bench", "--runtime", "process"], environment | {"TERM": "xterm"})
    ready: list[float] = []
    before: dict[str, float] = {}
    watcher = threading.Thread(target=_time_ready, args=(terminal, ready, before))
    watcher.start()
    try:
        _, opened = terminal.read_until(_ALTERNATE_SCREEN)
        screen, _ = terminal.read_until(b"bench", opened)
        _, workbench = terminal.read_until(_ALTERNATE_SCREEN, opened)
        running, _ = terminal.read_until(_RUNNING, workbench)
        after = _processor_times(terminal.process.pid)
    finally:
        terminal.close()
        watcher.join()
    computed = {name: (before.get(name, 0.0), seconds) for name, seconds in after.items()}
    return _Figures(screen, ready[0], running - ready[0], computed)


def import_controller() -> float:
    """Seconds that importing what the controller uses takes, in a process of its own."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", _CONTROLLER], check=True)
    return time.perf_counter() - began


def main() -> None:
    sys.path.insert(0, str(ROOT))
    # Without compiled modules, imports take half as long again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    figures: list[_Figures] = []
    imports: list[float] = []
    for number in range(_TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="c8s-demo-") as folder:
            for name in ("STATE", "DATA", "CONFIG", "CACHE"):
                os.environ[f"XDG_{name}_HOME"] = str(Path(folder) / name.lower())
            os.environ["PYTHONPATH"] = str(ROOT)
            alone, found = import_controller(), demo()
            if number:
                imports.append(alone)
                figures.append(found)
    report(figures, imports)


def report(figures: Sequence[_Figures], imports: Sequence[float]) -> None:
    """Print the medians."""
    later = statistics.median(each.later for each in figures)
    print(
        f"c8s demo: screen after {statistics.median(each.screen for each in figures):.2f} s, sandbox ready after "
        f"{statistics.median(each.ready for each in figures):.2f} s, first running step {later:.2f} s later "
        f"(at most {max(each.later for each in figures):.2f} s); median of {len(figures)}"
    )
    for name in figures[0].computed:
        ready, running = (statistics.median(each.computed[name][at] for each in figures) for at in (0, 1))
        print(
            f"processor time of the {name}: {ready:.2f} s until ready, {running - ready:.2f} s from there to the step"
        )
    both, alone = statistics.median(each.ready + each.later for each in figures), statistics.median(imports)
    print(
        f"importing what the controller uses takes {alone:.2f} s alone: the step is seen after "
        f"{later / alone:.2f} times that, counted from ready, and {both / alone:.2f} times from the command "
        f"({both:.2f} s); "
        f"load now {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
