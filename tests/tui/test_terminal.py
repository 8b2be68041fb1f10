"""The workbench in a real terminal (tmux): what no test without one can see."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.config.contexts import config_path

pytestmark = [pytest.mark.needs("tmux"), pytest.mark.xdist_group("tmux")]


class Terminal:
    """A tmux server of its own, with one window."""

    def __init__(self, socket: Path, command: str, folder: Path) -> None:
        self._socket = socket
        self._tmux("new-session", "-d", "-x", "120", "-y", "36", "-c", str(folder), command)
        self._tmux("set-option", "-g", "set-clipboard", "on")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def title(self) -> str:
        return self._tmux("display-message", "-p", "#{pane_title}").strip()

    def buffer(self) -> str:
        return self._tmux("show-buffer")

    def buffers(self) -> str:
        return self._tmux("list-buffers")

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(self, *texts: str) -> str:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            time.sleep(0.05)
        raise AssertionError(f"{texts} did not appear in:\n{screen}")

    def wait_until(self, condition: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition(screen := self.screen()):
            assert time.monotonic() < deadline, screen
            time.sleep(0.05)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False, timeout=20)

    def mouse(self) -> str:
        """Whether the program asks for the mouse."""
        return self._tmux("display-message", "-p", "#{mouse_any_flag}").strip()


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Terminal]:
    socket = tmp_path_factory.mktemp("tmux") / "socket"
    command = f"{sys.executable} -m tests.tui.stage; echo left with $?; exec cat"
    opened = Terminal(socket, command, repository)
    yield opened
    opened.close()


def test_hostile_output_reaches_neither_title_nor_clipboard_nor_other_lines(terminal: Terminal) -> None:
    before = terminal.title()
    screen = terminal.wait_for("before", "title", "clipboard", "cleared", "reset", "red", "100%", "after")
    assert "c8s › default › runs › hostile-1" in screen, "what was drawn before is still there"
    assert "20%" not in screen
    assert "PWNED" not in terminal.title()
    assert terminal.title() == before
    assert terminal.buffers() == ""


def test_it_follows_the_size_of_the_terminal(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.resize(80, 24)
    screen = terminal.wait_for("after", "esc Back")
    assert max(len(line) for line in screen.splitlines()) <= 80
    terminal.resize(140, 45)
    terminal.wait_for("after", "◐ print", "esc Back")


def test_it_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("q")
    screen = terminal.wait_for("left with 0")
    assert "hostile-1" not in screen


def test_a_line_is_copied_into_the_clipboard_of_tmux(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("3")
    terminal.wait_for("s Follow")
    terminal.press("g", "y")
    terminal.wait_for("Copied 1 line")
    assert terminal.buffer() == "before"


def test_the_terminal_is_handed_to_a_shell_and_taken_back(terminal: Terminal) -> None:
    terminal.wait_for("after")
    terminal.press("S")
    screen = terminal.wait_for("in hostile-1 print step", "type something:")
    assert "Connection" not in screen
    terminal.press("hello", "Enter")
    terminal.wait_for("c8s › default › runs › hostile-1", "after", "◐ print")


@pytest.fixture
def desk(tmp_path: Path, repository: Path) -> Iterator[Callable[[], Terminal]]:
    """Opens the workbench of a folder with a pipeline, also again."""
    opened: list[Terminal] = []
    file, pid = tmp_path / ".c8s.yaml", tmp_path / "pid"
    file.write_text("name: shop\n")

    def start() -> Terminal:
        program = f"echo $$ > {pid}; exec {shlex.quote(sys.executable)} -m tests.tui.stage {file}"
        command = f"sh -c {shlex.quote(program)}; echo left with $?; exec cat"
        opened.append(Terminal(tmp_path / f"socket{len(opened)}", command, repository))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_after_a_fault_the_terminal_is_as_before_and_the_report_is_named(
    desk: Callable[[], Terminal], tmp_path: Path
) -> None:
    first = desk()
    first.wait_for("hello-7")
    first.press("e")
    first.wait_for("name: shop")
    first.press("x", "C-o")
    screen = first.wait_for("the workbench has failed: RuntimeError: a fault on the stage", "left with 1")
    assert "Traceback" not in screen
    assert first.mouse() == "0"
    assert "PWNED" not in first.title()
    (report,) = Path(os.environ["XDG_STATE_HOME"]).glob("c8s/_workbench/crashes/crash-*.txt")
    assert report.stat().st_mode & 0o777 == 0o600
    assert report.name in screen.replace("\n", "")
    again = desk()
    again.wait_for("runs (1)", "failed the last time")
    again.press("e")
    again.wait_for("1  xname: shop", "modified")
    again.press("C-q")
    again.wait_for("left with 0")


def test_unsaved_text_and_the_place_survive_a_kill(desk: Callable[[], Terminal], tmp_path: Path) -> None:
    first = desk()
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
    again = desk()
    screen = again.wait_for("edit ›", "1  yname: shop", "modified")
    assert "failed" not in screen


def test_it_leaves_the_mouse_alone_when_it_is_told_to(desk: Callable[[], Terminal]) -> None:
    first = desk()
    first.wait_for("hello-7")
    assert first.mouse() == "1"
    config_path().parent.mkdir(parents=True)
    config_path().write_text("workbench: {mouse: false, keys: {app.quit: x}}\n")
    again = desk()
    again.wait_for("hello-7", "x Quit")
    assert again.mouse() == "0"
    again.press("x")
    again.wait_for("left with 0")
