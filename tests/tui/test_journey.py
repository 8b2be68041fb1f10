"""The workbench on a sandbox that is really there: from an empty list to a run that was cancelled."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.live import C8s, write_pipeline
from tests.tui.test_terminal import Terminal
from workbench.sandbox import Sandboxes
from workbench.tui.app import Workbench
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.services.connection import connector
from workbench.tui.services.launcher import FileLauncher


@pytest.fixture
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[C8s]:
    found = C8s(tmp_path_factory.mktemp("journey"))
    yield found
    found("down", expect=None)


def shown(app: Workbench) -> str:
    screen = app.screen
    return "\n".join(strip.text.rstrip() for strip in screen._compositor.render_strips()[: screen.size.height])


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    assert isinstance(pilot.app, Workbench)
    try:
        async with asyncio.timeout(20):
            while not condition():
                await pilot.pause(0.02)
    except TimeoutError:
        raise AssertionError(f"it did not come to that:\n{shown(pilot.app)}") from None


async def test_from_an_empty_list_to_a_run_that_was_cancelled(
    program: C8s, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(program, "up")
    monkeypatch.setenv("XDG_STATE_HOME", str(program.home / "state"))
    endpoint = await Sandboxes().up("default")
    file = write_pipeline(tmp_path, ['{name: greet, image: "busybox:1.36", commands: [echo good morning]}'], "quick")
    app = Workbench(connector(endpoint), endpoint_label="default", launcher=FileLauncher(file))

    def sees(*texts: str) -> Callable[[], bool]:
        return lambda: all(text in shown(app) for text in texts)

    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        await until(pilot, sees("No runs yet", "Press r to run", "images ignored"))
        await pilot.press("r")
        await until(pilot, sees("quick-1", "✓ greet", "good morning"))
        await pilot.press("escape")
        await until(pilot, sees("runs (1)", "✓ quick-1"))
        write_pipeline(tmp_path, ['{name: wait, image: "busybox:1.36", commands: [echo waiting, sleep 300]}'], "slow")
        await pilot.press("r")
        await until(pilot, sees("slow-", "◐ wait", "waiting"))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, sees("⊘ wait"))
        await pilot.press("q")
    assert app.return_code == 0


@pytest.mark.needs("tmux")
@pytest.mark.xdist_group("tmux")
def test_the_demo_opens_on_its_run_and_leaves_no_process(program: C8s, tmp_path: Path) -> None:
    folders = [f"{name}={value}" for name, value in program.environment().items() if name.startswith("XDG_")]
    script = tmp_path / "demo.sh"
    # In a file, for the state folder must not be in the command line of tmux, which is not of the sandbox.
    script.write_text(f"{shlex.join(['env', *folders, *program.command('demo')])}\necho left with $?\nexec cat\n")
    terminal = Terminal(tmp_path / "socket", f"sh {shlex.quote(str(script))}", program.home.parent)
    try:
        terminal.wait_for("default › runs › fan-out-1", "✓", "esc Back")
        terminal.press("q")
        terminal.wait_for("left with 0")
        assert program.processes() == []
    finally:
        terminal.close()


@pytest.mark.needs("tmux")
@pytest.mark.xdist_group("tmux")
def test_from_c8s_in_an_empty_folder_to_a_green_run(program: C8s, tmp_path: Path) -> None:
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
        program("down")
        terminal.wait_for("Connection lost, trying again")
        program("up")
        terminal.wait_until(lambda screen: "Connection lost" not in screen)
        terminal.press("q")
        terminal.wait_for("left with 0")
    finally:
        terminal.close()
