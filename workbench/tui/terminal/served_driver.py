"""The driver of an app whose terminal is a page of `c8s serve`: Textual's web driver, and what a page needs that left.

A page that comes back has an empty terminal; the server then asks for all of the screen.
"""

from __future__ import annotations

import asyncio
import os
from threading import Lock
from typing import Any, cast

from textual import events, messages
from textual.drivers.web_driver import WebDriver
from textual.geometry import Size

_EXIT_SECONDS = 5.0
_MODES = (
    "\x1b[!p",
    "\x1b[?1049h",
    "\x1b[?1000h",
    "\x1b[?1003h",
    "\x1b[?1015h",
    "\x1b[?1006h",
    "\x1b[?25l",
    "\x1b[?2004h",
)
"""What `start_application_mode` sets: another screen, the mouse, no cursor, pasted text in brackets."""


class PacketWriter:
    """Writes packets to a descriptor, each as a whole: the screen and files are sent by different threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._lock = descriptor, Lock()

    def __call__(self, packet: bytes) -> int:
        """Write it; the number of bytes. Raises OSError."""
        with self._lock:
            rest = memoryview(packet)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(packet)


class ServedDriver(WebDriver):
    """Draws on a page, which may leave and come back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._write: Any = PacketWriter(self.fileno)

    def run_input_thread(self) -> None:
        """Read what the server sends; its end is that of the server, which ends the app."""
        super().run_input_thread()
        if self.exit_event.is_set():
            return
        asyncio.run_coroutine_threadsafe(self._app._post_message(messages.ExitApp()), loop=self._loop)
        if not self.exit_event.wait(_EXIT_SECONDS):
            os._exit(1)

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Handle a document of the server: `redraw` draws everything; the others are those of Textual."""
        if packet_type != "redraw":
            super().on_meta(packet_type, payload)
        else:
            size = Size(*(cast(int, payload[side]) for side in ("width", "height")))
            self._loop.call_soon_threadsafe(self._redraw, size)

    def _redraw(self, size: Size) -> None:
        app: Any = self._app
        self.write("".join(_MODES))
        if self._size != size:
            self._size = size
            app.post_message(events.Resize(size, size))
        app.refresh(layout=True)

    def write(self, data: str) -> None:
        try:
            super().write(data)
        except BrokenPipeError:
            # The server is gone: nobody is left to tell.
            os._exit(1)
