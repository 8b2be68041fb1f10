"""A program in a real terminal, which tmux emulates."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.waiting import LONGEST, wait_until


class Terminal:
    """A separate tmux server with one window."""

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
            timeout=LONGEST,
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
        """The screen, as soon as it has all the texts."""
        return self.wait_until(lambda screen: all(text in screen for text in texts), what=f"{texts}")

    def wait_until(self, condition: Callable[[str], bool], *, what: str = "the condition") -> str:
        """The screen, as soon as the condition holds for it."""

        def matching() -> str:
            screen = self.screen()
            return screen if condition(screen) else ""

        return wait_until(
            matching, what=lambda: f"On the screen\n{self.screen()}\n{what}", timeout=LONGEST, interval=0.05
        )

    def close(self) -> None:
        subprocess.run(
            ["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False, timeout=LONGEST
        )

    def mouse(self) -> str:
        """Whether the program asks for the mouse."""
        return self._tmux("display-message", "-p", "#{mouse_any_flag}").strip()
