"""Signals as interrupt requests: the first one is handled in order, the second one exits immediately."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workbench.cli.interruption import INTERRUPTED, ExitDeadline
from workbench.cli.output.console import echo_error

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class InterruptState:
    """`requested` is set by the first signal. `exit_message` is printed when a second one ends the program."""

    exit_message: str = "interrupted"
    requested: asyncio.Event = field(default_factory=asyncio.Event)
    exit_process: Callable[[int], None] = os._exit
    deadline: ExitDeadline = field(default_factory=ExitDeadline)

    def leave(self) -> None:
        """Nothing is left to wait for: clean up and exit within a few seconds."""
        self.deadline.arm(INTERRUPTED, self.exit_message)

    def on_signal(self, sign: signal.Signals = signal.SIGINT) -> None:
        if not self.requested.is_set():
            self.requested.set()
            return
        if sign is signal.SIGHUP:
            # Closing a terminal sends SIGHUP twice, from the kernel and from the shell.
            return
        echo_error(self.exit_message)
        try:
            sys.stdout.flush()
        finally:
            self.exit_process(INTERRUPTED)


@contextmanager
def handle_interrupts() -> Iterator[InterruptState]:
    """Handle signals as interrupt requests inside the `with`; ignored signals (nohup) stay ignored."""
    loop = asyncio.get_running_loop()
    state = InterruptState()
    taken = [sign for sign in _SIGNALS if signal.getsignal(sign) is not signal.SIG_IGN]
    for sign in taken:
        loop.add_signal_handler(sign, state.on_signal, sign)
    try:
        yield state
    finally:
        state.deadline.disarm()
        for sign in taken:
            loop.remove_signal_handler(sign)
