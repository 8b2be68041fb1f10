"""Progress that a program writes again and again in one line is seen while it grows, masked, and stored once."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live import C8s, write_pipeline

_SECRET = "correct-horse-battery"
_SECONDS = 60.0


@dataclass
class Terminal:
    """A command in a terminal of 80 columns; what it writes is read as it comes."""

    descriptor: int
    process: subprocess.Popen[bytes]
    written: bytearray = field(default_factory=bytearray)

    def read_until(self, text: bytes | None) -> None:
        """Read until the text has been written, or to the end."""
        until = time.monotonic() + _SECONDS
        while text is None or text not in self.written:
            assert time.monotonic() < until, bytes(self.written)
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    data = os.read(self.descriptor, 4096)
                except OSError:
                    data = b""
                if not data:
                    assert text is None, bytes(self.written)
                    return
                self.written += data


@contextmanager
def terminal(c8s: C8s, *arguments: str, cwd: Path) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = c8s.environment({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"})
    process = subprocess.Popen(
        c8s.command(*arguments), cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
        process.wait(30)
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


@dataclass(frozen=True)
class Gates:
    """Files that the step waits for."""

    folder: Path

    def command(self, number: int) -> str:
        return f"until test -e {self.folder}/gate-{number}; do sleep 0.05; done"

    def open(self, number: int) -> None:
        (self.folder / f"gate-{number}").touch()


@pytest.fixture
def gates(c8s: C8s, tmp_path: Path) -> Gates:
    gates = Gates(tmp_path)
    first = f"printf 'first\\n 10%% of load\\r 20%% of load'; {gates.command(1)}"
    then = f"""printf "\\r 30%% with $word"; {gates.command(2)}; printf '\\r100%% of load\\nlast\\n'"""
    secrets = [{"secretRef": "vault", "key": "word"}]
    step = {"name": "load", "image": "busybox:1.36", "secrets": secrets, "commands": [f"{first}; {then}"]}
    write_pipeline(tmp_path, [json.dumps(step)], name="progress")
    c8s("secrets", "set", "vault", "word", stdin=_SECRET)
    return gates


def screen_lines(written: bytes) -> list[str]:
    """What stays on a terminal: the row below the lines is cleared before a line is printed in its place."""
    text = re.sub(r"[^\n]*\r\x1b\[K", "", written.decode().replace("\r\n", "\n"))
    return text.split("\n")


def test_progress_is_shown_below_the_lines_of_a_run(c8s: C8s, gates: Gates) -> None:
    with terminal(c8s, "run", cwd=gates.folder) as run:
        run.read_until(b"load |  20% of load")
        assert b"10% of load" not in run.written, "it was replaced before it was sent"
        gates.open(1)
        run.read_until(b"load |  30% with ***")
        gates.open(2)
        run.read_until(None)
    assert _SECRET.encode() not in run.written
    lines = screen_lines(bytes(run.written))
    assert [line for line in lines if line.startswith("load | ") and " -- " not in line] == [
        "load | first", "load | 100% of load", "load | last"
    ]  # fmt: skip
    assert run.process.returncode == 0
    name = next(line.split()[1] for line in lines if line.startswith("run "))
    stored = c8s("logs", name, "load").stdout
    assert stored == "first\n100% of load\nlast\n", "piped, only the last state"


def test_progress_is_shown_while_a_log_is_followed(c8s: C8s, gates: Gates) -> None:
    running = c8s.start("run", cwd=gates.folder)
    try:
        assert running.stdout is not None
        name = next(line.split()[1] for line in running.stdout if line.startswith("run "))
        with terminal(c8s, "logs", "--follow", name, "load", cwd=gates.folder) as following:
            following.read_until(b" 20% of load")
            gates.open(1)
            following.read_until(b" 30% with ***")
            gates.open(2)
            following.read_until(None)
        assert screen_lines(bytes(following.written)) == ["first", "100% of load", "last", ""]
        rest = running.stdout.read()
        assert "100% of load" in rest
        assert "20%" not in rest
    finally:
        running.kill()
        running.communicate(timeout=10)
