"""Ctrl-C as a request: the first one is answered in order, the second one at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workbench.cli.output.console import message

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


@dataclass
class Interrupts:
    """`asked` is set by the first signal. `last_words` is what is said when a second one ends the program."""

    last_words: str = "interrupted"
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    leave: Callable[[int], None] = os._exit

    def hit(self, sign: signal.Signals = signal.SIGINT) -> None:
        if not self.asked.is_set():
            self.asked.set()
            return
        if sign is signal.SIGHUP:
            # A terminal that is closed tells that twice, the kernel and its shell; nobody has lost patience.
            return
        message(self.last_words)
        try:
            sys.stdout.flush()
        finally:
            self.leave(INTERRUPTED)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Signals mean a request to stop, as long as this lasts; one that is ignored (nohup) stays ignored."""
    loop = asyncio.get_running_loop()
    state = Interrupts()
    taken = [sign for sign in _SIGNALS if signal.getsignal(sign) is not signal.SIG_IGN]
    for sign in taken:
        loop.add_signal_handler(sign, state.hit, sign)
    try:
        yield state
    finally:
        for sign in taken:
            loop.remove_signal_handler(sign)
