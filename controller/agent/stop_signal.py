"""SIGTERM and SIGINT as something to wait for together with files."""

from __future__ import annotations

import os
import select
import signal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STOPPED = 143


class StopSignal:
    """Notes that the agent was asked to end. The signals have to be blocked before it is made, so that none is lost.

    `ends_at_once`: whether there is nothing to finish, so that the signal ends the process itself.
    """

    def __init__(self) -> None:
        self.requested = False
        self.ends_at_once = False
        self._readable, writable = os.pipe()
        os.set_blocking(writable, False)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        for each in _SIGNALS:
            signal.signal(each, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def wait(self, seconds: float | None = None, *files: int) -> bool:
        """Wait for the signal, until one of the files is readable or the time is over; whether the signal came."""
        if not self.requested:
            select.select([self._readable, *files], [], [], seconds)
        return self.requested

    def _note(self, *_: object) -> None:
        # As the first process of a container it would not be ended by the signal itself.
        if self.ends_at_once:
            os._exit(_STOPPED)
        self.requested = True
