"""`c8s demo` in a terminal: the screen shows the start of the sandbox, then the running sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import C8s
from tests.support.terminal import terminal

_NAME = ("--name", "shown")


@pytest.fixture
def sandbox(c8s: C8s) -> Iterator[C8s]:
    yield c8s
    c8s("down", *_NAME, "--delete")


def test_demo_shows_the_start_and_the_run_and_leaves_nothing_running(sandbox: C8s, tmp_path: Path) -> None:
    with terminal(sandbox, "demo", *_NAME, cwd=tmp_path) as demo:
        demo.read_until(b"The sandbox is being started.")
        demo.read_until(b"fan-out-1")
        demo.read_until(b"part-10")
        demo.type("q")
        demo.read_until(None)
    assert demo.process.returncode == 0
    assert b"Traceback" not in demo.written
    assert "stopped" in sandbox("status", *_NAME, expect=None).stdout
    assert "fan-out-1" in sandbox("runs", *_NAME).stdout


def test_start_that_fails_is_explained_on_the_screen_and_after_it(sandbox: C8s, tmp_path: Path) -> None:
    folder = sandbox.home / "state" / "c8s" / "shown"
    folder.mkdir(parents=True)
    (folder / "start.lock").touch()
    (folder / "state-version").write_text("999\n")
    with terminal(sandbox, "--name", "shown", cwd=tmp_path) as workbench:
        workbench.read_until(b"Enter tries again from here.")
        workbench.type("q")
        workbench.read_until(None)
    assert workbench.process.returncode == 1
    assert b"Traceback" not in workbench.written
    assert b"c8s: " in workbench.written.rpartition(b"\x1b[?1049l")[2]
