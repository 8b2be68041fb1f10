"""One workbench in a process of its own, on Textual's web driver.

The driver's packets have one byte for the type (`D` what is typed or drawn, `M` a JSON document, `P` a packed tuple),
four bytes for the length, and the content.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from workbench.serve.messages import Size

DRAWN, DOCUMENT, PACKED = b"D", b"M", b"P"
DRIVER = "workbench.tui.terminal.served_driver:ServedDriver"
SERVED = "C8S_SERVED"
"""Set in the environment of an app whose terminal is a page."""
_PRELUDE = b"__GANGLION__\n"
"""What the driver writes before its first packet."""
_PRELUDE_LINES = 50
_MAX_PACKET = 64 * 1024 * 1024
_STOP_SECONDS = 3.0
_KILL_SECONDS = 2.0
_ERROR_BYTES = 8_192
_OF_A_TERMINAL = ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "STY", "TERM_PROGRAM_VERSION", "NO_COLOR", "COLORTERM")
"""Variables about the terminal and the desktop of the user who started the server, which the viewer does not see."""


@dataclass(frozen=True)
class Packet:
    """A packet of the driver."""

    kind: bytes
    content: bytes


class AppProcess:
    """A running workbench."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], size: Size) -> AppProcess:
        """Start it with this size of the screen. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=app_environment(environment, size),
            # Ctrl-C at the server is for the server, which ends its apps itself.
            start_new_session=True,
        )
        return cls(process)

    async def packets(self) -> AsyncIterator[Packet]:
        """What the app writes, until it ends."""
        try:
            for _ in range(_PRELUDE_LINES):
                line = await self._stdout.readline()
                if line in (_PRELUDE, b""):
                    break
            while True:
                head = await self._stdout.readexactly(5)
                size = int.from_bytes(head[1:], "big")
                if size > _MAX_PACKET:
                    return
                yield Packet(head[:1], await self._stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionResetError, ValueError):
            return

    async def last_words(self) -> str:
        """The end of what the app wrote to stderr, once it has ended."""
        kept = b""
        while block := await self._stderr.read(65536):
            kept = (kept + block)[-_ERROR_BYTES:]
        return kept.decode(errors="replace").strip()

    async def type(self, text: str) -> None:
        """Send what was typed."""
        await self._send(DRAWN, text.encode(errors="replace"))

    async def tell(self, type: str, **values: object) -> None:
        """Send a document, such as a new size."""
        await self._send(DOCUMENT, json.dumps({"type": type, **values}).encode())

    async def _send(self, kind: bytes, content: bytes) -> None:
        with suppress(ConnectionError, RuntimeError):
            self._stdin.write(kind + len(content).to_bytes(4, "big") + content)
            await self._stdin.drain()

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End it: by asking, then by SIGTERM, then by SIGKILL."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self.tell("quit")
                await self._process.wait()
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                self._process.send_signal(sign)
            with suppress(TimeoutError):
                async with asyncio.timeout(_KILL_SECONDS):
                    await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def app_environment(environment: Mapping[str, str], size: Size) -> dict[str, str]:
    """The environment of an app: ours, with a page as the terminal."""
    kept = {name: value for name, value in environment.items() if name not in _OF_A_TERMINAL}
    return kept | {
        SERVED: "1",
        "TEXTUAL_DRIVER": DRIVER,
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "TERM": "xterm-256color",
        "TERM_PROGRAM": "c8s-serve",
        # The page draws every character, whatever the locale of the server is.
        "PYTHONUTF8": "1",
        "COLUMNS": str(size.width),
        "ROWS": str(size.height),
    }
