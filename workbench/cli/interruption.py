"""Ends interrupted commands: in order where that is quick, and in any case after a few seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, TypeVar

import click

from workbench.cli.output.console import echo_error

T = TypeVar("T")

EXIT_LIMIT = 3.0
"""Seconds that an interrupted command may take to clean up."""
INTERRUPTED = 130
"""The exit code of a command that was interrupted by Ctrl-C."""


class ExitDeadline:
    """Ends the process if it still runs some seconds after it was interrupted.

    Cleaning up may wait for a server that hangs, or for a thread that can't be cancelled.
    """

    def __init__(self, limit: float = EXIT_LIMIT, exit_process: Callable[[int], None] = os._exit) -> None:
        self._limit = limit
        self._exit_process = exit_process
        self._timer: threading.Timer | None = None

    def arm(self, code: int, message: str = "exiting without waiting any longer") -> None:
        """End the process in time unless `disarm` is called before. Only the first call counts."""
        if self._timer is None:
            self._timer = threading.Timer(self._limit, self._expire, (code, message))
            self._timer.daemon = True
            self._timer.start()

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, code: int, message: str) -> None:
        try:
            echo_error(message)
        finally:
            self._exit_process(code)


async def until_interrupted(main: Coroutine[Any, Any, T], deadline: ExitDeadline) -> T:
    """Await a coroutine; a signal that ends the program cancels it first, so that it deletes its temporary files.

    SIGTERM and SIGHUP end it as Ctrl-C does, with exit codes of their own. A second signal ends the program at once.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    received: list[signal.Signals] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    ends = (signal.SIGTERM, signal.SIGHUP) if in_main_thread else ()
    handled = [sign for sign in ends if signal.getsignal(sign) is signal.SIG_DFL]

    def end(sign: signal.Signals) -> None:
        received.append(sign)
        deadline.arm(128 + sign)
        for each in handled:
            # The next one ends the program at once.
            loop.remove_signal_handler(each)
        task.cancel()

    for sign in handled:
        loop.add_signal_handler(sign, end, sign)
    if in_main_thread:
        _take_sigint(deadline)
    try:
        return await main
    except asyncio.CancelledError:
        if not received:
            raise
        raise click.exceptions.Exit(128 + received[0]) from None
    finally:
        for sign in handled:
            loop.remove_signal_handler(sign)


@contextmanager
def loop_runner() -> Iterator[asyncio.Runner]:
    """A runner with its event loop. Ctrl-C waits until that is made: a loop without some of its parts can't close."""
    with closing(asyncio.Runner()) as runner:
        with _held_sigint():
            runner.get_loop()
        yield runner


@contextmanager
def _held_sigint() -> Iterator[None]:
    """Handle Ctrl-C after the `with`. Blocking the signal would not do: another thread may receive it."""
    handle = signal.getsignal(signal.SIGINT)
    if not callable(handle) or threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handle)
        if received:
            handle(*received[0])


@contextmanager
def restored_sigint() -> Iterator[None]:
    """Restore the handler of SIGINT after the `with`. Only the main thread can change it."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _take_sigint(deadline: ExitDeadline) -> None:
    """Arm the deadline at the first Ctrl-C, which is left to asyncio, and exit at the second."""
    previous = signal.getsignal(signal.SIGINT)
    if not callable(previous):
        return
    count = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            os._exit(INTERRUPTED)
        deadline.arm(INTERRUPTED)
        previous(number, frame)

    signal.signal(signal.SIGINT, interrupt)
