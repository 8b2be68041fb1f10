"""Manifests of artifacts: what stands in front, and lists of files in chunks."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.api.artifacts.manifest import encode_manifest, read_archive_info, read_files
from controller.operator.effects.executor import _decode_manifest_head

ARCHIVE = {"size": 9, "sha256": "1" * 64}


class OneObject:
    """A store with one object; `whole` counts how often all of it was read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.whole = 0

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        self.whole += 1
        return self.data

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        yield self.data[start:end]


def files(count: int) -> list[dict[str, Any]]:
    return [
        {"path": f'out/"archive":{{}}-{at}.txt', "size": at, "sha256": "0" * 64, "mode": 420} for at in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 2001])
async def test_a_manifest_is_read_back_in_chunks(count: int) -> None:
    data = await encode_manifest(ARCHIVE, files(count))
    document = json.loads(data)
    assert (document["archive"], document["files"]) == (ARCHIVE, files(count))
    store: Any = OneObject(data)
    assert [file async for chunk in read_files(store, "x") for file in chunk] == files(count)


async def test_the_archive_is_found_without_reading_the_list() -> None:
    store: Any = OneObject(await encode_manifest(ARCHIVE, files(2001)))
    assert await read_archive_info(store, "x") == ARCHIVE
    assert store.whole == 0


@pytest.mark.parametrize("separators", [(",", ":"), None])
async def test_the_form_of_older_versions_is_read(separators: tuple[str, str] | None) -> None:
    old = {"files": files(5), "archive": ARCHIVE}
    store: Any = OneObject(json.dumps(old, separators=separators).encode())
    assert await read_archive_info(store, "x") == ARCHIVE
    assert [file async for chunk in read_files(store, "x") for file in chunk] == files(5)


async def test_the_operator_reads_only_the_head() -> None:
    head = (await encode_manifest(ARCHIVE, files(200)))[:1024]
    assert _decode_manifest_head(head) == {"archive": ARCHIVE, "count": {"files": 200, "bytes": sum(range(200))}}
    assert _decode_manifest_head(b'{"files":[],"archive":null}') is None
