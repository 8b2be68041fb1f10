"""The workbench on a real sandbox."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import C8s, write_pipeline
from tests.support.tui.driver import sees, until
from tests.support.tui.tmux import Terminal
from workbench.sandbox import Sandboxes
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.services.launcher import FileLauncher
from workbench.tui.startup import connector


@pytest.fixture
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[C8s]:
    found = C8s(tmp_path_factory.mktemp("journey"))
    yield found
    found("down", expect=None)


@pytest.mark.real_time
async def test_run_and_cancel_a_pipeline(program: C8s, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.to_thread(program, "up")
    monkeypatch.setenv("XDG_STATE_HOME", str(program.home / "state"))
    endpoint = await Sandboxes().up("default")
    file = write_pipeline(tmp_path, ['{name: greet, image: "busybox:1.36", commands: [echo good morning]}'], "quick")
    app = Workbench(connector(endpoint), WorkbenchOptions(endpoint_label="default", launcher=FileLauncher(file)))

    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        await until(pilot, sees(app, "No runs yet", "Press r to run", "images ignored"))
        await pilot.press("r")
        await until(pilot, sees(app, "quick-1", "✓ greet", "good morning"))
        await pilot.press("escape")
        await until(pilot, sees(app, "runs (1)", "✓ quick-1"))
        write_pipeline(tmp_path, ['{name: wait, image: "busybox:1.36", commands: [echo waiting, sleep 300]}'], "slow")
        await pilot.press("r")
        await until(pilot, sees(app, "Run which one?", "a run of quick", "slow"))
        await pilot.press("enter")
        await until(pilot, sees(app, "slow-", "◐ wait", "waiting"))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, sees(app, "⊘ wait"))
        await pilot.press("q")
    assert app.return_code == 0


@pytest.mark.needs("tmux")
@pytest.mark.xdist_group("tmux")
def test_demo_opens_its_run_and_stops_its_sandbox(program: C8s, tmp_path: Path) -> None:
    folders = [f"{name}={value}" for name, value in program.environment().items() if name.startswith("XDG_")]
    script = tmp_path / "demo.sh"
    # In a file, for the state folder must not be in the command line of tmux, which is not of the sandbox.
    script.write_text(f"{shlex.join(['env', *folders, *program.command('demo')])}\necho left with $?\nexec cat\n")
    terminal = Terminal(tmp_path / "socket", f"sh {shlex.quote(str(script))}", program.home.parent)
    try:
        terminal.wait_for("demo › runs › bookshop-1", "✓", "esc Back", "hides the tour")
        terminal.press("q")
        terminal.wait_for("`c8s demo` starts the tour again", "left with 0")
        assert program.processes() == []
        assert program("runs", "--name", "demo", expect=None).returncode != 0, "its sandbox was one of its own"
    finally:
        terminal.close()


@pytest.mark.needs("tmux")
@pytest.mark.xdist_group("tmux")
def test_first_run_from_an_empty_folder(program: C8s, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    folders = [f"{name}={value}" for name, value in program.environment().items() if name.startswith("XDG_")]
    script = tmp_path / "c8s.sh"
    script.write_text(f"{shlex.join(['env', *folders, *program.command()])}\necho left with $?\nexec cat\n")
    terminal = Terminal(tmp_path / "socket", f"sh {shlex.quote(str(script))}", empty)
    try:
        terminal.wait_for("There is no sandbox yet", "Embedded", "It needs")
        terminal.press("Enter")
        terminal.wait_for("No runs yet", "no .c8s.yaml here")
        terminal.press("e")
        terminal.wait_for("version: v1alpha1", "steps:")
        terminal.press("C-r")
        terminal.wait_for("-1", "✓ ", "Succeeded")
        assert "a workbench or another command uses sandbox" in program("down").stderr
        terminal.wait_for("Connection lost, trying again", "What is shown is as of", "U starts the sandbox")
        terminal.press("U")
        terminal.wait_until(lambda screen: "Connection lost" not in screen)
        terminal.press("q")
        terminal.wait_for("left with 0")
    finally:
        terminal.close()
