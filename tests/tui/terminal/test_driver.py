"""The driver's thread on a terminal: what it reads, how it waits, and how it ends."""

from __future__ import annotations

import asyncio
import os
import pty
import selectors
import signal
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from textual import constants, events, messages
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tests.support.waiting import wait_until
from workbench.tui.base_app import BaseApp
from workbench.tui.terminal import driver as module
from workbench.tui.terminal.driver import REPLACED_SOURCE, WaitingDriver, driver_for, replaced_source

_HELD = (signal.SIGTSTP, signal.SIGCONT)


class _Driver(WaitingDriver):
    """Keeps what it has read, from a terminal whose other end is `keyboard`."""

    def __init__(self) -> None:
        super().__init__(App[Any]())
        self.keyboard, self.fileno = pty.openpty()
        tty.setraw(self.fileno)
        self.input_tty = True
        self.read: list[str] = []
        self.thread: Thread | None = None

    def process_message(self, message: Message) -> None:
        self.read.append(message.key if isinstance(message, events.Key) else type(message).__name__)

    def send_message(self, message: Message) -> None:
        self.process_message(message)

    def type(self, text: bytes) -> None:
        os.write(self.keyboard, text)

    def start(self) -> None:
        self.thread = Thread(target=self._run_input_thread)
        self.thread.start()

    def stop(self) -> None:
        """As Textual does: see `disable_input`."""
        assert self.thread is not None
        self.exit_event.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.exit_event.clear()

    async def until(self, *keys: str) -> None:
        await asyncio.to_thread(wait_until, lambda: self.read == list(keys), what=lambda: f"{self.read} is {keys}")


@asynccontextmanager
async def driving() -> AsyncIterator[_Driver]:
    """A driver whose thread runs."""
    handlers = [signal.getsignal(each) for each in _HELD]
    driver = _Driver()
    driver.start()
    try:
        yield driver
    finally:
        driver.stop()
        for number, handler in zip(_HELD, handlers, strict=True):
            signal.signal(number, handler)
        for end in (driver.keyboard, driver.fileno):
            if end >= 0:
                os.close(end)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long the thread has waited each time; the last of them may not have ended."""
    found: list[float | None] = []
    select: Callable[..., Any] = selectors.SelectSelector.select

    def noted(self: selectors.SelectSelector, timeout: float | None = None) -> Any:
        found.append(timeout)
        return select(self, timeout)

    monkeypatch.setattr(selectors.SelectSelector, "select", noted)
    return found


async def test_it_looks_again_once_after_a_key(waits: list[float | None]) -> None:
    async with driving() as driver:
        await asyncio.to_thread(wait_until, lambda: waits == [None], what=lambda: f"{waits}")
        driver.type(b"a")
        await driver.until("a")
        expected = [None, constants.ESCAPE_DELAY + module._MARGIN, None]
        await asyncio.to_thread(wait_until, lambda: waits == expected, what=lambda: f"{waits}")


async def test_it_tells_escape_from_a_sequence() -> None:
    async with driving() as driver:
        driver.type(b"\x1b")
        await driver.until("escape")
        driver.type(b"\x1b[A")
        await driver.until("escape", "up")
        driver.type(b"\x1b")
        await driver.until("escape", "up", "escape")
        driver.type(b"b")
        await driver.until("escape", "up", "escape", "b")


async def test_a_sequence_and_a_letter_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow this machine is.
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 60.0)
    async with driving() as driver:
        for piece in (b"\x1b", b"[", b"B"):
            driver.type(piece)
        await driver.until("down")
        whole = "é".encode()
        driver.type(whole[:1])
        driver.type(whole[1:] + b"x")
        await driver.until("down", "é", "x")


async def test_another_program_gets_every_key_after_the_end() -> None:
    async with driving() as driver:
        driver.type(b"a")
        await driver.until("a")
        driver.stop()
        driver.type(b"for the editor")
        assert await asyncio.to_thread(os.read, driver.fileno, 100) == b"for the editor"
        driver.start()
        driver.type(b"b")
        await driver.until("a", "b")


async def test_it_ends_while_a_sequence_is_incomplete() -> None:
    async with driving() as driver:
        driver.type(b"a\x1b[")
        await driver.until("a")
        driver.stop()
        driver.start()
        driver.type(b"A")
        await driver.until("a", "A")


@pytest.mark.parametrize("is_reading", [True, False], ids=["by SIGSTOP", "by its own key"])
async def test_a_program_that_goes_on_has_one_thread_for_keys(
    is_reading: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("suspend_application_mode", "resume_application_mode"):
        monkeypatch.setattr(WaitingDriver, name, lambda self, name=name: done.append(name))
    async with driving() as driver:
        driver._auto_restart, driver._key_thread = True, driver.thread
        if not is_reading:
            driver.stop()
        driver._sigcont_application()
        if not is_reading:
            driver.start()
    assert done == [*["suspend_application_mode"] * is_reading, "resume_application_mode"]


async def test_a_terminal_that_is_gone_ends_the_app() -> None:
    async with driving() as driver:
        os.close(driver.keyboard)
        driver.keyboard = -1
        await driver.until(messages.ExitApp.__name__)


async def test_an_app_that_cannot_end_without_its_terminal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(module, "_EXIT_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", codes.append)
    async with driving() as driver:
        os.close(driver.keyboard)
        driver.keyboard = -1
        await asyncio.to_thread(wait_until, lambda: codes == [1])


async def test_input_that_has_ended_is_not_read_again(waits: list[float | None]) -> None:
    async with driving() as driver:
        driver.type(b"a")
        await driver.until("a")
        driver.stop()
        terminal, driver.input_tty = driver.fileno, False
        driver.fileno = os.open(os.devnull, os.O_RDONLY)
        os.close(terminal)
        waits.clear()
        driver.start()
        assert driver.thread is not None
        await asyncio.to_thread(driver.thread.join, 30)
        assert waits == [None]
        assert driver.read == ["a"]


def test_textual_reads_keys_as_this_driver_was_written_for() -> None:
    assert replaced_source() == REPLACED_SOURCE, (
        "Textual has changed LinuxDriver.run_input_thread or disable_input (textual/drivers/linux_driver.py), and the "
        "workbench uses Textual's own until then. Compare run_input_thread with WaitingDriver.run_input_thread, check "
        "that disable_input still sets exit_event before it waits for the thread, and set REPLACED_SOURCE"
    )


def test_only_the_known_driver_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(LinuxDriver):
        pass

    assert driver_for(LinuxDriver) is WaitingDriver
    assert BaseApp[None]().driver_class is WaitingDriver
    assert driver_for(Other) is Other
    monkeypatch.setattr(module, "REPLACED_SOURCE", "of another version")
    assert driver_for(LinuxDriver) is LinuxDriver


def test_the_program_ends_with_its_terminal(tmp_path: Path) -> None:
    """Also where no signal says so: the terminal is not that of its session."""
    keyboard, terminal = pty.openpty()
    folders = {f"XDG_{name}_HOME": str(tmp_path) for name in ("STATE", "CONFIG", "CACHE", "DATA")}
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.support.tui.terminal_app"],
        env=os.environ | folders | {"TERM": "xterm-256color"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    try:
        os.close(terminal)
        written = b""
        while b"hostile-1" not in written:
            written += os.read(keyboard, 65_536)
        os.close(keyboard)
        assert program.wait(60) == 0
    finally:
        program.kill()
        program.wait(30)
