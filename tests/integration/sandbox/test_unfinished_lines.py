"""Progress that a program writes again and again in one line is seen while it grows, masked, and stored once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import C8s, write_pipeline
from tests.support.terminal import terminal
from tests.support.waiting import LONGEST

_SECRET = "correct-horse-battery"


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
        running.communicate(timeout=LONGEST)
