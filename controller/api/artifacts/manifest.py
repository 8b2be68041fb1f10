"""Stored manifests of artifacts, read piece by piece.

A manifest can list 200,000 files in 30 MB. To decode one at once would stop the event loop for most of a second, so
that lists of files are read in chunks, between which other requests get their turn.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from controller.storage.errors import BrokenArchiveError

if TYPE_CHECKING:
    from controller.storage import ObjectStore

MAX_MANIFEST_BYTES = 32 * 1024 * 1024
MAX_ENTRY_BYTES = 64 * 1024
"""The largest entry of one file: a path of 4,096 characters, each as an escape sequence, and what is around it."""
ARCHIVE_FIELD = '"archive":'
_CHUNK_FILES = 1000
_HEAD_BYTES = 1024
_FILES_START, _SEPARATOR = re.compile(r'"files": ?\['), re.compile(r"[, ]*")

JsonObject = dict[str, Any]


async def stored_digest(store: "ObjectStore", key: str) -> str:
    """The SHA-256 (hex) of a stored manifest."""
    digest = hashlib.sha256()
    async for chunk in store.read(key):
        digest.update(chunk)
    return digest.hexdigest()


async def read_archive_info(store: "ObjectStore", key: str) -> JsonObject | None:
    """What a manifest says of its archive: `size` and `sha256`; None for that of a clone step, which has none."""
    head = b"".join([chunk async for chunk in store.read(key, 0, _HEAD_BYTES)]).decode("utf-8", "replace")
    if head.startswith("{" + ARCHIVE_FIELD):
        try:
            return _decode_at(head, len("{" + ARCHIVE_FIELD))
        except ValueError:
            raise BrokenArchiveError("its manifest is damaged") from None
    # Older ones have it at their end, after all file names; those of clone steps are short.
    try:
        document = (await store.get(key, limit=MAX_MANIFEST_BYTES)).decode()
        position = document.rindex(ARCHIVE_FIELD) + len(ARCHIVE_FIELD)
        return _decode_at(document, position + (document[position] == " "))
    except (ValueError, IndexError):
        raise BrokenArchiveError("its manifest is damaged") from None


async def read_files(
    store: "ObjectStore", key: str, start: int = 0, limit: int | None = None
) -> AsyncIterator[tuple[list[JsonObject], int]]:
    """The files that a manifest lists, in chunks, and the position after each chunk, where a later call may `start`.

    Args:
        limit: stop after so many files.

    Raises:
        BrokenArchiveError: the manifest is damaged or cut off.
    """
    reader = _ListReader(start)
    left = limit
    async with aclosing(store.read(key, start)) as stream:  # type: ignore[type-var]
        async for data in stream:
            reader.feed(data)
            while chunk := reader.take(_CHUNK_FILES if left is None else min(_CHUNK_FILES, left)):
                yield chunk, reader.position
                left = None if left is None else left - len(chunk)
                if left == 0:
                    return
                await asyncio.sleep(0)
    if not reader.ended:
        raise BrokenArchiveError("its manifest is cut off, or has no list of files")


class _ListReader:
    """Decodes the list of files of a manifest as its bytes arrive.

    Attributes:
        position: how many bytes of the object were read.
        ended: whether the end of the list was read.
    """

    def __init__(self, start: int) -> None:
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._in_list = start > 0
        self.position = start
        self.ended = False

    def feed(self, data: bytes) -> None:
        # Our manifests are ASCII, so that positions in the text are those in the object.
        self._text, self._at = self._text[self._at :] + data.decode("ascii", "replace"), 0

    def take(self, limit: int) -> list[JsonObject]:
        """The next files, at most `limit`; none if more bytes are needed, or the list has ended."""
        found: list[JsonObject] = []
        if not self._in_list:
            self._find_list()
        while self._in_list and not self.ended and len(found) < limit:
            separator = _SEPARATOR.match(self._text, self._at)
            self._advance(separator.end() if separator is not None else self._at)
            if self._text.startswith("]", self._at):
                self.ended = True
                break
            try:
                file, end = self._decode(self._text, self._at)
            except ValueError:
                if len(self._text) - self._at > MAX_ENTRY_BYTES:
                    raise BrokenArchiveError(f"its manifest is damaged at byte {self.position}") from None
                break
            self._advance(end)
            found.append(file)
        return found

    def _find_list(self) -> None:
        match = _FILES_START.search(self._text)
        if match is not None:
            self._in_list = True
            self._advance(match.end())
        elif len(self._text) > MAX_ENTRY_BYTES:
            raise BrokenArchiveError("its manifest has no list of files")

    def _advance(self, to: int) -> None:
        self.position += to - self._at
        self._at = to


def _decode_at(document: str, position: int) -> JsonObject | None:
    found: JsonObject | None = json.JSONDecoder().raw_decode(document, position)[0]
    return found
