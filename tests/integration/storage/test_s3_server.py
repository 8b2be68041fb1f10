"""The S3 store against a real server, which is also killed, slow, old or wrongly addressed."""

from __future__ import annotations

import asyncio
import hashlib
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import Message

import pytest

from controller.storage import (
    Download,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreUnavailableError,
    UploadMismatchError,
    open_store,
)
from controller.storage.s3 import PART_SIZE, S3Store
from controller.storage.s3_client import S3Credentials, create_client
from tests.integration.storage.conftest import BUCKET, CREDENTIALS
from tests.support.faulty_proxy import faulty_proxy
from tests.support.seaweedfs import ACCESS_KEY, SeaweedServer
from tests.support.waiting import LONGEST, wait_until_async

pytestmark = [pytest.mark.needs("weed"), pytest.mark.xdist_group("s3"), pytest.mark.timeout(300)]
MINUTE = timedelta(minutes=1)


async def stream(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read_all(store: S3Store, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, start, end)])


async def keys(store: S3Store, prefix: str) -> list[str]:
    return [found.key async for found in store.list(prefix)]


async def request(
    method: str, url: str, data: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Message, bytes]:
    def call() -> tuple[int, Message, bytes]:
        sent = urllib.request.Request(url, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(sent, timeout=LONGEST) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    return await asyncio.to_thread(call)


async def test_objects_are_stored_read_and_deleted(store: S3Store) -> None:
    assert (await store.put("basic/a", b"content")).size == 7
    assert await store.get("basic/a") == b"content"
    found = await store.head("basic/a")
    assert found is not None
    assert found.size == 7
    assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)
    await store.put("basic/a", b"replaced")
    assert await store.get("basic/a") == b"replaced"
    with pytest.raises(ObjectTooLargeError):
        await store.get("basic/a", limit=7)
    await store.delete("basic/a")
    await store.delete("basic/a")
    assert await store.head("basic/a") is None
    with pytest.raises(ObjectNotFoundError):
        await store.get("basic/a")


async def test_empty_object_is_an_object(store: S3Store) -> None:
    await store.put("empty", b"")
    assert await store.get("empty") == b""
    assert await read_all(store, "empty") == b""


async def test_ranges_are_read(store: S3Store) -> None:
    data = bytes(range(256)) * 8192
    await store.put("range", data)
    assert await read_all(store, "range", 10, 20) == data[10:20]
    assert await read_all(store, "range", len(data) - 5) == data[-5:]
    assert await read_all(store, "range", 5, 10 * len(data)) == data[5:]
    assert await read_all(store, "range", len(data)) == b""
    assert await read_all(store, "range", 7, 7) == b""


async def test_long_stream_is_stored_in_parts(store: S3Store) -> None:
    parts = [bytes([number]) * (PART_SIZE // 2 + 1) for number in range(5)]
    info = await store.put("multipart", stream(*parts))
    assert info.size == sum(map(len, parts))
    whole = await read_all(store, "multipart")
    assert hashlib.sha256(whole).digest() == hashlib.sha256(b"".join(parts)).digest()
    boundary = PART_SIZE - 3
    assert await read_all(store, "multipart", boundary, boundary + 6) == whole[boundary : boundary + 6]


async def test_failed_stream_leaves_nothing_behind(store: S3Store, server: SeaweedServer) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(PART_SIZE)
        raise ConnectionResetError("the sender is gone")

    with pytest.raises(ConnectionResetError):
        await store.put("broken/a", broken())
    assert await store.head("broken/a") is None
    client = create_client(server.url, "us-east-1", CREDENTIALS)
    assert not client.list_multipart_uploads(Bucket=BUCKET, Prefix="team/c8s/broken").get("Uploads")
    client.close()


async def test_listing_takes_as_many_pages_as_needed(store: S3Store) -> None:
    names = [f"pages/{number:04d}" for number in range(1050)]
    for begin in range(0, len(names), 50):
        await asyncio.gather(*(store.put(name, b"") for name in names[begin : begin + 50]))
    await store.put("pages-beside", b"")
    assert await keys(store, "pages/") == names
    assert await keys(store, "pages/10") == names[1000:]
    assert await keys(store, "nothing/") == []


async def test_one_of_many_writers_stores_the_object(store: S3Store) -> None:
    results = await asyncio.gather(
        *(store.put("once", bytes([number]), if_absent=True) for number in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert all(isinstance(result, ObjectExistsError) for result in results if isinstance(result, BaseException))
    winner = next(number for number, result in enumerate(results) if not isinstance(result, BaseException))
    assert await store.get("once") == bytes([winner])
    assert await keys(store, "c8s-probes/") == []


@pytest.mark.parametrize(
    "name",
    [
        "results.tar.gz",
        'a "quoted" name.txt',
        "ünïcödé ☃ 漢字.bin",
        "two\r\nSet-Cookie: a=b",
        "../../etc/passwd",
        "100%.txt",
    ],
)
async def test_signed_download_has_its_type_and_name(store: S3Store, name: str) -> None:
    await store.put("signed/download", b"bytes")
    download = Download("application/gzip", name)
    url = await store.presign("signed/download", MINUTE, external=True, download=download)
    status, headers, body = await request("GET", url)
    assert (status, body, headers["Content-Type"]) == (200, b"bytes", "application/gzip")
    assert headers["Content-Disposition"] == download.content_disposition
    assert "Set-Cookie" not in headers
    assert (await request("GET", url.replace("gzip", "html")))[0] == 403
    assert (await request("PUT", url, b"other"))[0] == 403


async def test_signed_download_serves_ranges(store: S3Store) -> None:
    await store.put("signed/range", b"0123456789")
    url = await store.presign("signed/range", MINUTE)
    status, headers, body = await request("GET", url, headers={"Range": "bytes=2-4"})
    assert (status, body, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")


async def test_signed_upload_is_for_one_object_and_size(store: S3Store) -> None:
    sha256 = hashlib.sha256(b"12345").hexdigest()
    link = await store.presign_upload("signed/upload", 5, sha256, MINUTE)
    headers = dict(link.headers)
    assert (await request("PUT", link.url, b"123456", headers=headers))[0] == 403
    assert (await request("PUT", link.url.replace("upload?", "other?"), b"12345", headers=headers))[0] == 403
    assert (await request("PUT", link.url, b"12345", headers=headers))[0] == 200
    assert await store.head("signed/upload") is None
    for _ in range(2):
        await store.commit_upload("signed/upload", 5, sha256)
    assert await store.get("signed/upload") == b"12345"
    await request("PUT", link.url, b"54321", headers=headers)
    assert await store.get("signed/upload") == b"12345", "the link is still valid, but not for the object"


async def test_other_bytes_of_the_same_size_are_not_committed(store: S3Store) -> None:
    """Also in a store that does not check the digest that was signed."""
    link = await store.presign_upload("signed/forged", 5, hashlib.sha256(b"12345").hexdigest(), MINUTE)
    await request("PUT", link.url, b"54321", headers=dict(link.headers))
    with pytest.raises((ObjectNotFoundError, UploadMismatchError)):
        await store.commit_upload("signed/forged", 5, hashlib.sha256(b"12345").hexdigest())
    assert await store.head("signed/forged") is None


async def test_expired_url_is_refused(store: S3Store) -> None:
    await store.put("signed/old", b"bytes")
    url = await store.presign("signed/old", timedelta(seconds=1))

    async def refused() -> bool:
        return (await request("GET", url))[0] == 403

    await wait_until_async(refused, interval=0.1)


async def test_wrong_credentials_are_named_without_showing_them(server: SeaweedServer) -> None:
    for credentials in (S3Credentials(ACCESS_KEY, "wrong-secret"), S3Credentials("nobody", "wrong-secret")):
        store = S3Store(BUCKET, endpoint=server.url, credentials=credentials)
        for call in (store.get("a"), store.put("a", b"x"), store.head("a"), store.delete("a"), keys(store, "")):
            with pytest.raises(StoreUnavailableError, match="the store rejects the credentials") as caught:
                await call
            assert "wrong-secret" not in str(caught.value)
        await store.start()
        await store.close()


async def test_missing_bucket_is_named(server: SeaweedServer) -> None:
    store = S3Store("no-such-bucket", endpoint=server.url, credentials=CREDENTIALS)
    for call in (store.get("a"), store.head("a"), keys(store, "")):
        with pytest.raises(StoreUnavailableError, match=r"no-such-bucket.* the bucket does not exist"):
            await call
    await store.close()


async def test_wrong_clock_is_named(server: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def an_hour_ago() -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)

    for place in ("botocore.auth.get_current_datetime", "botocore.compat.get_current_datetime"):
        monkeypatch.setattr(place, lambda *_, **__: an_hour_ago(), raising=False)
    store = S3Store(BUCKET, endpoint=server.url, credentials=CREDENTIALS)
    with pytest.raises(StoreUnavailableError, match="clocks of the store and of this machine"):
        await store.get("a")
    await store.close()


async def test_server_that_does_not_answer_is_unavailable(server: SeaweedServer) -> None:
    with faulty_proxy(server.port) as proxy:
        store = S3Store(BUCKET, client=create_client(proxy.url, "us-east-1", CREDENTIALS))
        hasty = S3Store(BUCKET, client=create_client(proxy.url, "us-east-1", CREDENTIALS, read_timeout=0.2))
        await store.put("slow", b"x")
        proxy.silent = True
        with pytest.raises(StoreUnavailableError, match=r"could not read the object slow.*[Tt]imeout"):
            await hasty.get("slow")
        proxy.silent = False
        assert await store.get("slow") == b"x"
        await hasty.close()
        await store.close()


async def test_cut_download_is_an_error_not_a_short_object(server: SeaweedServer) -> None:
    with faulty_proxy(server.port) as proxy:
        store = S3Store(BUCKET, client=create_client(proxy.url, "us-east-1", CREDENTIALS))
        await store.put("cut", bytes(3_000_000))
        proxy.cut_after = 1_500_000
        with pytest.raises(StoreUnavailableError, match="could not read the object cut"):
            await store.get("cut")
        with pytest.raises(StoreUnavailableError, match="could not read the object cut"):
            await read_all(store, "cut")
        await store.close()


async def test_server_that_ignores_if_none_match_is_worked_around(
    server: SeaweedServer, caplog: pytest.LogCaptureFixture
) -> None:
    with faulty_proxy(server.port) as proxy:
        proxy.ignored_headers = {"if-none-match"}
        client = create_client(proxy.url, "us-east-1", CREDENTIALS)
        store = S3Store(BUCKET, prefix="old", client=client)
        await store.start()
        assert [record.levelname for record in caplog.records if "ignores If-None-Match" in record.message] == [
            "WARNING"
        ]
        results = await asyncio.gather(
            *(store.put("once", bytes([number]), if_absent=True) for number in range(8)), return_exceptions=True
        )
        stored = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(stored) == 1
        assert await store.get("once") == bytes(stored)
        assert await keys(store, "c8s-probes/") == []
        await store.close()


async def test_store_killed_during_an_upload_keeps_the_old_object(store: S3Store, server: SeaweedServer) -> None:
    await store.put("killed/up", b"old")

    async def parts() -> AsyncIterator[bytes]:
        yield bytes(PART_SIZE)
        server.kill()
        yield bytes(PART_SIZE)

    with pytest.raises(StoreUnavailableError, match="could not write the object killed/up"):
        await store.put("killed/up", parts())
    server.start()
    assert await store.get("killed/up") == b"old"
    assert (await store.put("killed/up", stream(bytes(PART_SIZE), b"new"))).size == PART_SIZE + 3
    assert len(await store.get("killed/up")) == PART_SIZE + 3


async def test_store_killed_during_a_download_is_an_error(store: S3Store, server: SeaweedServer) -> None:
    data = bytes(40 * 1024 * 1024)
    await store.put("killed/down", data)
    chunks = store.read("killed/down")
    first = await anext(chunks)
    server.kill()
    with pytest.raises(StorageError, match="could not read the object killed/down"):
        [chunk async for chunk in chunks]
    assert 0 < len(first) < len(data)
    with pytest.raises(StoreUnavailableError):
        await store.get("killed/down")
    server.start()
    assert len(await read_all(store, "killed/down")) == len(data)


async def test_store_of_a_url_is_used(server: SeaweedServer) -> None:
    url = f"s3://{BUCKET}?endpoint={server.url}&region=eu-central-1&prefix=by-url"
    store = open_store(url, signing_key=b"", public_url="", environment=server.environment)
    await store.start()
    await store.put("a", b"x", if_absent=True)
    assert await store.get("a") == b"x"
    await store.close()
