"""Manifests of artifacts: written with what is asked most in front, and read piece by piece.

A manifest can list 200,000 files in 28 MB. To encode or decode one at once would stop the event loop for most of a
second, so that lists of files are handled in chunks, between which other requests get their turn.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.storage import ObjectStore

MAX_MANIFEST_BYTES = 32 * 1024 * 1024
_CHUNK_FILES = 1000
_HEAD_BYTES = 1024
_ARCHIVE, _FILES = '"archive":', '"files":['
_FILES_START, _SEPARATOR = re.compile(r'"files": ?\['), re.compile(r", ?")

JsonObject = dict[str, Any]


async def encode_manifest(archive: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> bytes:
    """The document of a manifest. The number and size of the files stand in front of the list."""
    count = {"files": len(files), "bytes": sum(int(file["size"]) for file in files)}
    pieces = [f"{{{_ARCHIVE}{_encode(archive)},", f'"count":{_encode(count)},', _FILES]
    for number, chunk in enumerate(_chunks(files)):
        pieces.append(("," if number else "") + _encode(chunk)[1:-1])
        await asyncio.sleep(0)
    return "".join([*pieces, "]}"]).encode()


async def read_archive_info(store: "ObjectStore", key: str) -> JsonObject | None:
    """What a manifest says of its archive: `size` and `sha256`; None for that of a clone step, which has none."""
    head = b"".join([chunk async for chunk in store.read(key, 0, _HEAD_BYTES)]).decode("utf-8", "replace")
    if head.startswith("{" + _ARCHIVE):
        return _decode_at(head, len("{" + _ARCHIVE))
    # Older ones have it at their end, after all file names; those of clone steps are short.
    document = (await store.get(key, limit=MAX_MANIFEST_BYTES)).decode()
    position = document.rindex(_ARCHIVE) + len(_ARCHIVE)
    return _decode_at(document, position + (document[position] == " "))


async def read_files(store: "ObjectStore", key: str) -> AsyncIterator[list[JsonObject]]:
    """The files that a manifest lists, in chunks."""
    document = (await store.get(key, limit=MAX_MANIFEST_BYTES)).decode()
    decode, start = json.JSONDecoder().raw_decode, _FILES_START.search(document)
    if start is None:
        raise ValueError(f"the manifest {key} has no list of files")
    position = start.end()
    chunk: list[JsonObject] = []
    while document[position] != "]":
        file, position = decode(document, position)
        chunk.append(file)
        separator = _SEPARATOR.match(document, position)
        position = separator.end() if separator is not None else position
        if len(chunk) == _CHUNK_FILES:
            yield chunk
            chunk = []
            await asyncio.sleep(0)
    yield chunk


def _decode_at(document: str, position: int) -> JsonObject | None:
    found: JsonObject | None = json.JSONDecoder().raw_decode(document, position)[0]
    return found


def _encode(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _chunks(files: Iterable[Mapping[str, Any]]) -> Iterable[list[Mapping[str, Any]]]:
    iterator = iter(files)
    while chunk := list(islice(iterator, _CHUNK_FILES)):
        yield chunk
