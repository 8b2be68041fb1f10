"""The directory store: whole objects or none, and nothing outside."""

import errno
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from controller.storage import (
    DirectoryStore,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
    UploadMismatchError,
    directory,
)
from controller.storage.signed_urls import ObjectGrant

BIG = os.urandom(3 * 1024 * 1024)

SHA256 = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store", b"key", "http://host:1/", clock=lambda: 1000.0)


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


async def read(store: DirectoryStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, start, end)])


def files(store_root: Path) -> list[str]:
    return sorted(str(path.relative_to(store_root)) for path in store_root.rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"", b"small", BIG], ids=["nothing", "little", "much"])
async def test_object_is_read_as_written(store: DirectoryStore, data: bytes) -> None:
    assert (await store.put("a/b", data)).size == len(data)
    assert await store.get("a/b") == data
    assert await read(store, "a/b") == data
    assert await read(store, "a/b", 1, 4) == data[1:4]
    assert await read(store, "a/b", 2_000_000) == data[2_000_000:]
    found = await store.head("a/b")
    assert found is not None
    assert found.size == len(data)


async def test_stream_is_stored_completely(store: DirectoryStore) -> None:
    await store.put("a", pieces(b"one", BIG, b"two"))
    assert await store.get("a") == b"one" + BIG + b"two"


async def test_broken_stream_leaves_no_object(store: DirectoryStore, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield BIG
        raise ValueError("broken")

    await store.put("a", b"old")
    with pytest.raises(ValueError, match="broken"):
        await store.put("a", broken())
    assert await store.get("a") == b"old"
    assert files(tmp_path / "store") == ["a"]


async def test_if_absent_does_not_replace_an_object(store: DirectoryStore, tmp_path: Path) -> None:
    await store.put("a", b"1", if_absent=True)
    with pytest.raises(ObjectExistsError):
        await store.put("a", b"2", if_absent=True)
    assert await store.get("a") == b"1"
    assert files(tmp_path / "store") == ["a"]


async def test_listing_is_filtered_and_sorted(store: DirectoryStore) -> None:
    keys = ["logs/r/1.log", "logs/r/1.log.d/000001", "logs/r/1.log.json", "logs/r2/x", "other", "logs/r/1-x"]
    for key in keys:
        await store.put(key, b"x")
    assert [found.key async for found in store.list()] == sorted(keys)
    assert [found.key async for found in store.list("logs/r/1.log")] == keys[:3]
    assert [found.key async for found in store.list("logs/r/")] == sorted(key for key in keys if "/r/" in key)
    assert [found.key async for found in store.list("nothing/")] == []


async def test_repeated_delete_leaves_no_folders(store: DirectoryStore, tmp_path: Path) -> None:
    await store.put("a/b/c", b"x")
    await store.delete("a/b/c")
    await store.delete("a/b/c")
    assert list((tmp_path / "store").iterdir()) == []
    assert await store.head("a/b/c") is None
    assert await store.head("a/b/c/d") is None


async def test_missing_and_large_objects_raise_errors(store: DirectoryStore) -> None:
    with pytest.raises(ObjectNotFoundError, match="no object nope"):
        await store.get("nope")
    with pytest.raises(ObjectNotFoundError):
        await read(store, "nope")
    await store.put("a", b"12345")
    with pytest.raises(ObjectTooLargeError):
        await store.get("a", limit=4)


async def test_key_below_another_object_is_an_error(store: DirectoryStore) -> None:
    await store.put("a/b", b"x")
    with pytest.raises(StorageError):
        await store.put("a", b"y")
    with pytest.raises(StorageError):
        await store.put("a/b/c", b"y")
    assert await store.get("a/b") == b"x"


@pytest.mark.parametrize("data", [b"small", BIG], ids=["little", "much"])
async def test_full_disk_is_reported_and_loses_nothing(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    await store.put("a", b"old")

    def full(file: int, data: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(directory, "_write_all", full)
    for body in (data, pieces(data)):
        with pytest.raises(StoreFullError, match="disk is full"):
            await store.put("a", body)
    assert await store.get("a") == b"old"
    assert files(tmp_path / "store") == ["a"]


async def test_store_is_private_to_its_owner(store: DirectoryStore, tmp_path: Path) -> None:
    await store.put("a/b", b"x")
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0


async def test_invalid_keys_are_rejected_by_all_methods(store: DirectoryStore) -> None:
    for call in (store.put("../a", b""), store.get("/a"), store.head("a/../b"), store.delete("..")):
        with pytest.raises(InvalidKeyError):
            await call
    with pytest.raises(InvalidKeyError):
        await store.presign("../a", timedelta(seconds=1))


async def test_signed_url_is_for_one_object_and_time(store: DirectoryStore) -> None:
    url = await store.presign("a/b", timedelta(seconds=60))
    assert url.startswith("http://host:1/api/v1/objects/a/b?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    signature, grant = query["signature"], ObjectGrant("GET", "a/b", int(query["expires"]))
    assert grant.expires == 1060
    assert store.verify(grant, signature)
    assert not store.verify(grant, "é")
    for other in ({"method": "PUT"}, {"key": "a/c"}, {"expires": 1061}, {"size": 1}, {"sha256": SHA256}):
        assert not store.verify(replace(grant, **other), signature), other
    later = DirectoryStore(store._root, b"key", "http://host", clock=lambda: 1060.0)
    assert not later.verify(grant, signature)


async def test_upload_link_is_for_bytes_that_are_not_committed(store: DirectoryStore) -> None:
    link = await store.presign_upload("a/b", 7, SHA256, timedelta(seconds=60))
    assert link.url.startswith("http://host:1/api/v1/objects/uploads/a/b?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(link.url).query).items()}
    grant = ObjectGrant("PUT", "uploads/a/b", 1060, size=7, sha256=SHA256)
    assert store.verify(grant, query["signature"])
    for other in ({"method": "GET"}, {"key": "a/b"}, {"size": 8}, {"sha256": "0" * 64}):
        assert not store.verify(replace(grant, **other), query["signature"]), other


async def test_upload_becomes_the_object_when_it_is_committed(store: DirectoryStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        await store.commit_upload("a/b", 3, SHA256)
    await store.put("uploads/a/b", b"long")
    with pytest.raises(UploadMismatchError):
        await store.commit_upload("a/b", 3, SHA256)
    assert await store.head("a/b") is None
    await store.put("uploads/a/b", b"abc")
    for _ in range(2):
        await store.commit_upload("a/b", 3, SHA256)
    assert await store.get("a/b") == b"abc"
    assert [each.key async for each in store.list()] == ["a/b"]


async def test_error_of_the_sender_is_not_translated(store: DirectoryStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionResetError("the sender is gone")

    with pytest.raises(ConnectionResetError):
        await store.put("a", broken())
    assert await store.head("a") is None


async def test_missing_directory_is_not_reported_as_missing_object(store: DirectoryStore, tmp_path: Path) -> None:
    await store.put("a/b", b"kept")
    root = store._root
    for gone in (lambda: None, lambda: root.write_text("something else")):
        root.rename(tmp_path / "away")
        gone()
        with pytest.raises(StoreUnavailableError, match="does not exist"):
            await store.get("a/b")
        with pytest.raises(StoreUnavailableError):
            await store.head("a/b")
        with pytest.raises(StoreUnavailableError):
            await store.delete("a/b")
        with pytest.raises(StoreUnavailableError):
            [each async for each in store.list("a/")]
        root.unlink(missing_ok=True)
        (tmp_path / "away").rename(root)
    assert await store.get("a/b") == b"kept"


async def test_agents_get_an_address_of_their_own(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "s", b"key", "http://here:1", clock=lambda: 1000.0, agent_url="http://there:2/")
    minute = timedelta(minutes=1)
    assert (await store.presign("a", minute)).startswith("http://there:2/")
    assert (await store.presign("a", minute, external=True)).startswith("http://here:1/")
    assert (await store.presign_upload("a", 1, "0" * 64, minute)).url.startswith("http://there:2/")
