"""Manifests of artifacts: what stands in front, and lists of files in chunks."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.api.artifacts.manifest import read_archive_info, read_files
from controller.api.artifacts.sent_manifest import encode_manifest
from controller.operator.effects.executor import _decode_manifest_head
from controller.storage.errors import BrokenArchiveError

ARCHIVE = {"size": 9, "sha256": "1" * 64}


class OneObject:
    """A store with one object; `whole` counts how often all of it was read."""

    def __init__(self, data: bytes, chunk: int = 1 << 20) -> None:
        self.data = data
        self.chunk = chunk
        self.whole = 0

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        self.whole += 1
        return self.data

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        for at in range(start, len(self.data) if end is None else end, self.chunk):
            yield self.data[at : min(at + self.chunk, len(self.data) if end is None else end)]


def files(count: int) -> list[dict[str, Any]]:
    return [
        {"path": f'out/"archive":{{}}-{at}.txt', "size": at, "sha256": "0" * 64, "mode": 420} for at in range(count)
    ]


def encoded(count: int) -> bytes:
    body = json.dumps({"files": files(count), "archive": ARCHIVE}).encode()
    return b"".join(encode_manifest(body).pieces)


@pytest.mark.parametrize("chunk", [7, 1000, 1 << 20])
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 2001])
async def test_a_manifest_is_read_back_in_chunks(count: int, chunk: int) -> None:
    data = encoded(count)
    document = json.loads(data)
    assert (document["archive"], document["files"]) == (ARCHIVE, files(count))
    store: Any = OneObject(data, chunk)
    assert [file async for chunk, _ in read_files(store, "x") for file in chunk] == files(count)


async def test_the_archive_is_found_without_reading_the_list() -> None:
    store: Any = OneObject(encoded(2001))
    assert await read_archive_info(store, "x") == ARCHIVE
    assert store.whole == 0


@pytest.mark.parametrize("separators", [(",", ":"), None])
async def test_the_form_of_older_versions_is_read(separators: tuple[str, str] | None) -> None:
    old = {"files": files(5), "archive": ARCHIVE}
    store: Any = OneObject(json.dumps(old, separators=separators).encode())
    assert await read_archive_info(store, "x") == ARCHIVE
    assert [file async for chunk, _ in read_files(store, "x") for file in chunk] == files(5)


async def test_the_operator_reads_only_the_head() -> None:
    head = encoded(200)[:1024]
    assert _decode_manifest_head(head) == {"archive": ARCHIVE, "count": {"files": 200, "bytes": sum(range(200))}}
    assert _decode_manifest_head(b'{"files":[],"archive":null}') is None


@pytest.mark.parametrize("limit", [1, 700, 1000, 2001])
async def test_a_list_is_read_on_from_where_a_page_ended(limit: int) -> None:
    store: Any = OneObject(encoded(2001), 5000)
    found: list[dict[str, Any]] = []
    start = 0
    while True:
        page = [(chunk, end) async for chunk, end in read_files(store, "x", start, limit)]
        if not page:
            break
        found += [file for chunk, _ in page for file in chunk]
        assert sum(len(chunk) for chunk, _ in page) <= limit
        start = page[-1][1]
        if len(found) >= 3 * limit:
            break
    assert found == files(2001)[: len(found)]
    assert len(found) == min(3 * limit, 2001)


@pytest.mark.parametrize("data", [encoded(2001)[:-40], b"{}", b'{"files":[{"path":' + b'"' * 3, b"x" * 200_000])
async def test_a_cut_or_foreign_manifest_is_called_broken(data: bytes) -> None:
    store: Any = OneObject(data, 1000)
    with pytest.raises(BrokenArchiveError):
        [chunk async for chunk, _ in read_files(store, "x")]
