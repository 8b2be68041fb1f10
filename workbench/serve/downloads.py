"""Files that an app gives to its viewer: announced to the page under a name of one use, then read from the app."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import PurePath

from workbench.serve.app_process import AppProcess

_CHUNK_BYTES = 65_536
_CHUNK_SECONDS = 30.0
_MAX_WAITING = 16
_MAX_NAME = 150


@dataclass
class Download:
    """One file of an app. `key` is the app's own name for it."""

    key: str
    file_name: str
    chunks: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(maxsize=2))


class Downloads:
    """The files that one app has announced."""

    def __init__(self, process: AppProcess) -> None:
        self._process = process
        self._announced: dict[str, Download] = {}
        self._by_key: dict[str, Download] = {}

    def announce(self, key: str, path: str) -> str | None:
        """A name for a file, for one use; None if too many wait to be fetched."""
        if len(self._announced) >= _MAX_WAITING:
            return None
        name = secrets.token_urlsafe(24)
        self._announced[name] = self._by_key[key] = Download(key, PurePath(path).name[-_MAX_NAME:] or "file")
        return name

    def take(self, name: str) -> Download | None:
        """The file with this name, which is used up."""
        return self._announced.pop(name, None)

    def received(self, key: str, chunk: bytes) -> None:
        """Hand a part on that the app has sent; an empty one is the end. Parts that nobody waits for are dropped."""
        download = self._by_key.get(key)
        if download is not None and not download.chunks.full():
            download.chunks.put_nowait(chunk)

    async def read(self, download: Download) -> AsyncIterator[bytes]:
        """The content. Raises TimeoutError if the app does not send it."""
        try:
            while True:
                await self._process.tell("deliver_chunk_request", key=download.key, size=_CHUNK_BYTES)
                async with asyncio.timeout(_CHUNK_SECONDS):
                    chunk = await download.chunks.get()
                if not chunk:
                    return
                yield chunk
        finally:
            self._by_key.pop(download.key, None)
