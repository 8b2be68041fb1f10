"""The workbench in a real terminal, which tmux emulates."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tui.tmux import Terminal
from workbench.config.contexts import config_path

pytestmark = [pytest.mark.needs("tmux"), pytest.mark.xdist_group("tmux")]


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Terminal]:
    socket = tmp_path_factory.mktemp("tmux") / "socket"
    command = f"{sys.executable} -m tests.support.tui.terminal_app; echo left with $?; exec cat"
    opened = Terminal(socket, command, repository)
    yield opened
    opened.close()


def test_control_sequences_do_not_reach_the_terminal(terminal: Terminal) -> None:
    before = terminal.title()
    screen = terminal.wait_for("before", "title", "clipboard", "cleared", "reset", "red", "100%", "after")
    assert "c8s › default › runs › hostile-1" in screen, "what was drawn before is still there"
    assert "20%" not in screen
    assert "PWNED" not in terminal.title()
    assert terminal.title() == before
    assert terminal.buffers() == ""


def test_app_follows_the_terminal_size(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.resize(80, 24)
    screen = terminal.wait_for("after", "esc Back")
    assert max(len(line) for line in screen.splitlines()) <= 80
    terminal.resize(140, 45)
    terminal.wait_for("after", "◐ print", "esc Back")


def test_quit_restores_the_terminal(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("q")
    screen = terminal.wait_for("left with 0")
    assert "hostile-1" not in screen


def test_line_is_copied_to_the_tmux_clipboard(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("3")
    terminal.wait_for("s Follow")
    terminal.press("g", "y")
    terminal.wait_for("Copied 1 line")
    assert terminal.buffer() == "before"


def test_shell_takes_the_terminal_and_returns_it(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("S")
    screen = terminal.wait_for("in hostile-1 print step", "type something:")
    assert "Connection" not in screen
    terminal.press("hello", "Enter")
    terminal.wait_for("c8s › default › runs › hostile-1", "after", "◐ print")


def test_keys_right_after_escape_are_read_as_keys(terminal: Terminal) -> None:
    terminal.wait_for("after")
    # As one write: the run is left, the filter of the list opened, and a text entered.
    terminal.press("Escape", "/", "h", "e", "l", "l", "o", "Escape", "?")
    terminal.wait_for("Keyboard shortcuts")
    terminal.press("Escape", "/")
    terminal.press("z", "z", "Enter")
    terminal.wait_for("No run matches")


def test_bytes_that_are_not_utf_8_do_not_end_the_app(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("-H", "ff")
    terminal.press("?")
    terminal.wait_for("Keyboard shortcuts")


@pytest.fixture
def open_editor(tmp_path: Path, repository: Path) -> Iterator[Callable[[], Terminal]]:
    """Opens the workbench of a folder with a pipeline, also again."""
    opened: list[Terminal] = []
    file, pid = tmp_path / ".c8s.yaml", tmp_path / "pid"
    file.write_text("name: shop\n")

    def start() -> Terminal:
        program = f"echo $$ > {pid}; exec {shlex.quote(sys.executable)} -m tests.support.tui.terminal_app {file}"
        command = f"sh -c {shlex.quote(program)}; echo left with $?; exec cat"
        opened.append(Terminal(tmp_path / f"socket{len(opened)}", command, repository))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_crash_restores_the_terminal_and_names_the_report(open_editor: Callable[[], Terminal], tmp_path: Path) -> None:
    first = open_editor()
    first.wait_for("hello-7")
    first.press("e")
    first.wait_for("name: shop")
    first.press("x", "F12")
    screen = first.wait_for("the workbench has crashed: RuntimeError: a failure of this test", "left with 1")
    assert "Traceback" not in screen
    assert first.mouse() == "0"
    assert "PWNED" not in first.title()
    (report,) = Path(os.environ["XDG_STATE_HOME"]).glob("c8s/_workbench/crashes/crash-*.txt")
    assert report.stat().st_mode & 0o777 == 0o600
    assert report.name in screen.replace("\n", "")
    again = open_editor()
    again.wait_for("runs (1)", "crashed last time")
    again.press("e")
    again.wait_for("1  xname: shop", "modified")
    again.press("C-q")
    again.wait_for("left with 0")


def test_unsaved_text_survives_a_kill(open_editor: Callable[[], Terminal], tmp_path: Path) -> None:
    first = open_editor()
    first.wait_for("hello-7")
    first.press("e")
    first.wait_for("name: shop")
    first.press("y")
    first.wait_for("1  yname: shop", "modified")
    drafts, views = Path(os.environ["XDG_DATA_HOME"]) / "c8s" / "drafts", Path(os.environ["XDG_STATE_HOME"])
    first.wait_until(
        lambda _: (
            any("yname" in draft.read_text() for draft in drafts.glob("*.json"))
            and any('"screen": "editor"' in view.read_text() for view in views.glob("c8s/_workbench/views/*.json"))
        )
    )
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    again = open_editor()
    screen = again.wait_for("edit ›", "1  yname: shop", "modified")
    assert "failed" not in screen


def test_mouse_can_be_turned_off(open_editor: Callable[[], Terminal]) -> None:
    first = open_editor()
    first.wait_for("hello-7")
    assert first.mouse() == "1"
    config_path().parent.mkdir(parents=True)
    config_path().write_text("workbench: {mouse: false, keys: {app.quit: x}}\n")
    again = open_editor()
    again.wait_for("hello-7")
    assert again.mouse() == "0"
    again.press("x")
    again.wait_for("left with 0")
