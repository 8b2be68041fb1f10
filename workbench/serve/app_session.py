"""One app and the page that shows it. The app goes on for a while without a page, which may come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from workbench.serve.app_process import DOCUMENT, DRAWN, PACKED, AppProcess, Packet
from workbench.serve.downloads import Downloads
from workbench.serve.messages import Focus, Message, Ping, Size, Typed
from workbench.serve.outbox import Outbox

ENDED, CRASHED, TAKEN, REFUSED, STOPPED = 4000, 4001, 4002, 4003, 4004
"""Codes with which a page's WebSocket is closed: the app has ended, or failed; another tab shows it now; no app was
started; the server ends. After each, the page does not connect again by itself."""


class UnreadablePacketError(Exception):
    """What an app wrote is no packet of its driver."""


class AppSession:
    """An app that is shown by at most one page at a time. `now` is in seconds, monotonic."""

    def __init__(self, process: AppProcess, *, now: Callable[[], float], report: Callable[[str], None]) -> None:
        self.downloads = Downloads(process)
        self.left_at: float | None = now()
        """Since when no page shows it; None while one does."""
        self.has_ended = False
        self._process, self._now, self._report = process, now, report
        self._outbox: Outbox | None = None
        self._shown = False
        self._last_words: tuple[int, str] | None = None

    async def run(self) -> None:
        """Hand on what the app writes, until it ends; the process is gone then."""
        words = asyncio.create_task(self._process.last_words())
        try:
            async for packet in self._process.packets():
                self._handle_packet(packet)
            code = await self._process.wait()
            text = await words
            if text:
                self._report(text)
            self._finish(*((CRASHED, "The workbench has failed.") if code else (ENDED, "The workbench was closed.")))
        except UnreadablePacketError as error:
            # The others go on.
            self._report(f"a workbench was ended: {error}")
            self._finish(CRASHED, "The workbench has failed.")
            self._process.kill()
            await self._process.wait()
        finally:
            self.has_ended = True
            self._finish(STOPPED, "c8s serve has ended.")
            words.cancel()
            self._process.kill()

    async def stop(self) -> None:
        """Let the app end; `run` returns then."""
        self._end(STOPPED, "c8s serve has ended.")
        await self._process.stop()

    def _finish(self, code: int, reason: str) -> None:
        """Tell the page, also one that comes only now, why the app has ended; the first reason counts."""
        self._last_words = self._last_words or (code, reason)
        self._end(*self._last_words)

    def _end(self, code: int, reason: str) -> None:
        if self._outbox is not None:
            self._outbox.close(code, reason)

    # -- the page

    async def attach(self, size: Size) -> Outbox:
        """Show the app on a page of this size from now on; another page that shows it is closed with that reason."""
        self._end(TAKEN, "The workbench of this tab is shown in another one.")
        self._outbox, self.left_at = Outbox(), None
        if self._last_words is not None:
            self._outbox.close(*self._last_words)
        elif self._shown:
            await self._redraw(size)
        self._shown = True
        return self._outbox

    def detach(self, outbox: Outbox) -> None:
        """The page is gone."""
        if self._outbox is outbox:
            self._outbox, self.left_at = None, self._now()

    async def redraw_lost(self, outbox: Outbox, size: Size) -> None:
        """Draw the whole screen, after a page was too slow for some of it."""
        outbox.forget_lost()
        await self._redraw(size)

    async def _redraw(self, size: Size) -> None:
        await self._process.tell("redraw", width=size.width, height=size.height)

    async def handle(self, message: Message) -> None:
        """Pass on what a page has sent."""
        match message:
            case Typed():
                await self._process.type(message.text)
            case Size():
                await self._process.tell("resize", width=message.width, height=message.height)
            case Focus():
                await self._process.tell("focus" if message.has_focus else "blur")
            case Ping():
                self._send("pong", message.text)

    def _send(self, *frame: object) -> None:
        if self._outbox is not None:
            self._outbox.put(json.dumps(frame))

    # -- the app

    def _handle_packet(self, packet: Packet) -> None:
        from textual._binary_encode import DecodeError

        try:
            if packet.kind == DRAWN and self._outbox is not None:
                self._outbox.put(packet.content)
            elif packet.kind == DOCUMENT:
                self._handle_document(json.loads(packet.content))
            elif packet.kind == PACKED:
                self._handle_packed(packet.content)
        except (AttributeError, DecodeError, RecursionError, ValueError) as error:
            raise UnreadablePacketError(f"it wrote a packet that can't be read: {error}") from error

    def _handle_document(self, document: dict[str, object]) -> None:
        if document.get("type") == "open_url":
            url = str(document.get("url"))
            # Of what an app may name, only pages are opened: not scripts, and not files of the viewer.
            if urlsplit(url).scheme in ("http", "https"):
                self._send("open_url", {"url": url, "new_tab": True})
        elif document.get("type") == "deliver_file_start":
            name = self.downloads.announce(str(document.get("key")), str(document.get("path")))
            if name is not None:
                self._send("deliver_file_start", name)

    def _handle_packed(self, content: bytes) -> None:
        from textual._binary_encode import load

        found = load(content)
        if isinstance(found, tuple) and len(found) == 3 and found[0] == "deliver_chunk":
            chunk = found[2]
            self.downloads.received(str(found[1]), chunk if isinstance(chunk, bytes) else str(chunk).encode())
