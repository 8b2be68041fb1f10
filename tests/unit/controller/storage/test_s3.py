"""The S3 store, against the answers that S3 gives."""

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from controller.storage import (
    InvalidStoreUrlError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreFullError,
    StoreUnavailableError,
    UploadMismatchError,
    open_store,
)
from controller.storage.s3 import PART_SIZE, S3Store
from controller.storage.s3_client import S3Credentials

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


# The first client of a session reads boto's description of S3, which takes longer than most tests here.
_SESSION = boto3.session.Session()


class ScriptedS3:
    """A store whose client answers by script."""

    def __init__(self) -> None:
        client = _SESSION.client(
            "s3",
            region_name="us-east-1",
            endpoint_url="http://s3.test:9000",
            aws_access_key_id="access",
            aws_secret_access_key="very-secret",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )
        self.stub = Stubber(client)
        self.stub.activate()
        self.store = S3Store("bucket", prefix="c8s", client=client)

    def answer(self, call: str, response: dict[str, Any], **expected: Any) -> None:
        self.stub.add_response(call, response, {"Bucket": "bucket", **expected})

    def probe(self, *, supported: bool) -> None:
        """The answers to the two conditional writes with which the store is tried."""
        self.answer("put_object", {}, Key=ANY, Body=ANY, ContentType=ANY, IfNoneMatch="*")
        if supported:
            self.refuse("put_object", "PreconditionFailed", 412)
        else:
            self.answer("put_object", {}, Key=ANY, Body=ANY, ContentType=ANY, IfNoneMatch="*")
        self.answer("delete_object", {}, Key=ANY)

    def refuse(self, call: str, code: str, status: int) -> None:
        self.stub.add_client_error(call, code, "very-secret detail", status)


@pytest.fixture
async def world() -> AsyncIterator[ScriptedS3]:
    found = ScriptedS3()
    yield found
    found.stub.assert_no_pending_responses()
    await found.store.close()


def body(data: bytes) -> dict[str, Any]:
    return {"Body": StreamingBody(io.BytesIO(data), len(data)), "ContentLength": len(data)}


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


async def test_objects_are_stored_below_the_prefix(world: ScriptedS3) -> None:
    world.answer("put_object", {}, Key="c8s/a/b", Body=ANY, ContentType=ANY)
    world.answer("get_object", body(b"data"), Key="c8s/a/b")
    assert (await world.store.put("a/b", b"data")).size == 4
    assert await world.store.get("a/b") == b"data"


async def test_range_of_an_object_is_read(world: ScriptedS3) -> None:
    world.answer("get_object", body(b"at"), Key="c8s/a", Range="bytes=1-2")
    world.answer("get_object", body(b"ta"), Key="c8s/a", Range="bytes=2-")
    assert b"".join([piece async for piece in world.store.read("a", 1, 3)]) == b"at"
    assert b"".join([piece async for piece in world.store.read("a", 2)]) == b"ta"
    assert [piece async for piece in world.store.read("a", 2, 2)] == []
    world.refuse("get_object", "InvalidRange", 416)
    assert [piece async for piece in world.store.read("a", 99)] == []


async def test_long_stream_is_uploaded_in_parts(world: ScriptedS3) -> None:
    named = {"Key": "c8s/a", "UploadId": "u"}
    world.answer("create_multipart_upload", {"UploadId": "u"}, Key="c8s/a", ContentType=ANY)
    world.answer("upload_part", {"ETag": "1"}, **named, PartNumber=1, Body=ANY)
    world.answer("upload_part", {"ETag": "2"}, **named, PartNumber=2, Body=ANY)
    parts = [{"PartNumber": 1, "ETag": "1"}, {"PartNumber": 2, "ETag": "2"}]
    world.answer("complete_multipart_upload", {}, **named, MultipartUpload={"Parts": parts})
    assert (await world.store.put("a", pieces(bytes(PART_SIZE), b"rest"))).size == PART_SIZE + 4


async def test_short_stream_is_one_request(world: ScriptedS3) -> None:
    world.probe(supported=True)
    world.answer("put_object", {}, Key="c8s/a", Body=ANY, ContentType=ANY, IfNoneMatch="*")
    await world.store.put("a", pieces(b"short", b"er"), if_absent=True)


async def test_broken_stream_aborts_the_upload(world: ScriptedS3) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(PART_SIZE)
        raise ValueError("broken")

    world.answer("create_multipart_upload", {"UploadId": "u"}, Key="c8s/a", ContentType=ANY)
    world.answer("upload_part", {"ETag": "1"}, Key="c8s/a", UploadId="u", PartNumber=1, Body=ANY)
    world.answer("abort_multipart_upload", {}, Key="c8s/a", UploadId="u")
    with pytest.raises(ValueError, match="broken"):
        await world.store.put("a", broken())


async def test_listing_is_paginated_and_omits_the_prefix(world: ScriptedS3) -> None:
    def page(key: str) -> dict[str, Any]:
        return {"Contents": [{"Key": key, "Size": 1, "LastModified": WHEN}]}

    first = {**page("c8s/logs/a"), "IsTruncated": True, "NextContinuationToken": "t"}
    world.answer("list_objects_v2", first, Prefix="c8s/logs/")
    world.answer("list_objects_v2", page("c8s/logs/b"), Prefix="c8s/logs/", ContinuationToken="t")
    assert [found.key async for found in world.store.list("logs/")] == ["logs/a", "logs/b"]


async def test_store_without_conditions_is_asked_for_the_object(
    world: ScriptedS3, caplog: pytest.LogCaptureFixture
) -> None:
    world.probe(supported=False)
    world.refuse("head_object", "404", 404)
    world.answer("put_object", {}, Key="c8s/a", Body=ANY, ContentType=ANY)
    world.answer("head_object", {"ContentLength": 3, "LastModified": WHEN}, Key="c8s/a")
    await world.store.start()
    await world.store.put("a", b"one", if_absent=True)
    with pytest.raises(ObjectExistsError):
        await world.store.put("a", b"two", if_absent=True)
    assert [record.getMessage()[:39] for record in caplog.records] == ["the object store ignores If-None-Match:"]


async def test_store_that_does_not_implement_conditions_is_tried_once(world: ScriptedS3) -> None:
    world.refuse("put_object", "NotImplemented", 501)
    world.answer("delete_object", {}, Key=ANY)
    await world.store.start()
    await world.store.start()


async def test_missing_bucket_is_not_a_missing_object(world: ScriptedS3) -> None:
    world.refuse("head_object", "404", 404)
    world.refuse("head_bucket", "404", 404)
    with pytest.raises(StoreUnavailableError, match="the bucket does not exist"):
        await world.store.head("a")


async def test_missing_object_has_no_metadata(world: ScriptedS3) -> None:
    world.refuse("head_object", "404", 404)
    world.answer("head_bucket", {})
    world.answer("head_object", {"ContentLength": 3, "LastModified": WHEN}, Key="c8s/a")
    assert await world.store.head("a") is None
    found = await world.store.head("a")
    assert found is not None
    assert found.size == 3


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("NoSuchKey", 404, ObjectNotFoundError),
        ("NoSuchBucket", 404, StoreUnavailableError),
        ("PreconditionFailed", 412, ObjectExistsError),
        ("XMinioStorageFull", 507, StoreFullError),
        ("AccessDenied", 403, StoreUnavailableError),
        ("SlowDown", 503, StoreUnavailableError),
        ("RequestTimeTooSkewed", 403, StoreUnavailableError),
    ],
)
async def test_errors_do_not_contain_the_message_of_the_server(
    world: ScriptedS3, code: str, status: int, error: type[Exception]
) -> None:
    world.refuse("put_object", code, status)
    with pytest.raises(error) as caught:
        await world.store.put("a", b"x")
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_store_that_does_not_respond_is_unavailable(world: ScriptedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3.test:9000/bucket")

    monkeypatch.setattr(world.store._client, "get_object", fail)
    with pytest.raises(StoreUnavailableError, match="could not read the object a in the bucket bucket"):
        await world.store.get("a")


async def test_object_beyond_the_limit_is_not_read(world: ScriptedS3) -> None:
    world.answer("get_object", body(b"12345"), Key="c8s/a")
    with pytest.raises(ObjectTooLargeError):
        await world.store.get("a", limit=4)


async def test_signed_urls_do_not_contain_the_secret(world: ScriptedS3) -> None:
    url = await world.store.presign("a", timedelta(minutes=15))
    assert url.startswith("http://s3.test:9000/bucket/c8s/a?")
    assert "X-Amz-Expires=900" in url
    assert "very-secret" not in url


DATA = b"packed"
SHA256 = hashlib.sha256(DATA).hexdigest()
CHECKSUM = base64.b64encode(bytes.fromhex(SHA256)).decode()


async def test_upload_link_signs_size_and_digest(world: ScriptedS3) -> None:
    """S3 refuses a request whose Content-Length or checksum is another one than was signed."""
    link = await world.store.presign_upload("a", 6, SHA256, timedelta(minutes=15))
    assert link.url.startswith("http://s3.test:9000/bucket/c8s/uploads/a?")
    assert "X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checksum-sha256" in link.url
    assert link.headers == {"x-amz-checksum-sha256": CHECKSUM}


def stat_upload(world: ScriptedS3, **more: Any) -> None:
    found = {"ContentLength": 6, "ETag": '"e"', "LastModified": WHEN, **more}
    world.refuse("head_object", "404", 404)
    world.answer("head_bucket", {})
    world.answer("head_object", found, Key="c8s/uploads/a", ChecksumMode="ENABLED")


def answer_copy(world: ScriptedS3) -> None:
    source = {"Bucket": "bucket", "Key": "c8s/uploads/a"}
    world.answer("copy_object", {}, Key="c8s/a", CopySource=source, CopySourceIfMatch='"e"')


async def test_upload_is_copied_if_s3_reports_its_digest(world: ScriptedS3) -> None:
    stat_upload(world, ChecksumSHA256=CHECKSUM)
    answer_copy(world)
    world.answer("delete_object", {}, Key="c8s/uploads/a")
    await world.store.commit_upload("a", 6, SHA256)


async def test_copy_is_read_in_a_store_without_digests(world: ScriptedS3) -> None:
    stat_upload(world)
    answer_copy(world)
    world.answer("get_object", body(DATA), Key="c8s/a")
    world.answer("delete_object", {}, Key="c8s/uploads/a")
    await world.store.commit_upload("a", 6, SHA256)


async def test_copy_of_other_bytes_is_deleted(world: ScriptedS3) -> None:
    stat_upload(world)
    answer_copy(world)
    world.answer("get_object", body(b"forged"), Key="c8s/a")
    world.answer("delete_object", {}, Key="c8s/a")
    with pytest.raises(UploadMismatchError, match="has not the digest"):
        await world.store.commit_upload("a", 6, SHA256)


@pytest.mark.parametrize("more", [{"ContentLength": 7}, {"ChecksumSHA256": base64.b64encode(b"x" * 32).decode()}])
async def test_other_bytes_are_not_committed(world: ScriptedS3, more: dict[str, Any]) -> None:
    stat_upload(world, **more)
    with pytest.raises(UploadMismatchError):
        await world.store.commit_upload("a", 6, SHA256)


async def test_upload_that_is_replaced_meanwhile_is_not_committed(world: ScriptedS3) -> None:
    stat_upload(world, ChecksumSHA256=CHECKSUM)
    world.refuse("copy_object", "PreconditionFailed", 412)
    with pytest.raises(UploadMismatchError, match="was replaced while it was committed"):
        await world.store.commit_upload("a", 6, SHA256)


async def test_committing_twice_has_no_effect(world: ScriptedS3) -> None:
    world.answer("head_object", {"ContentLength": 6, "LastModified": WHEN}, Key="c8s/a")
    world.answer("delete_object", {}, Key="c8s/uploads/a")
    await world.store.commit_upload("a", 6, SHA256)


def test_repr_of_credentials_is_redacted() -> None:
    assert "very" not in repr(S3Credentials("very-access", "very-secret", "very-token"))


async def test_store_of_a_url_is_opened() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
    url = "s3://bucket?endpoint=http://in:9000&public-endpoint=http://out:9000"
    store = open_store(url, signing_key=b"", public_url="", environment=environment)
    outside = await store.presign("k", timedelta(seconds=9), external=True)
    inside = await store.presign("k", timedelta(seconds=9))
    assert outside.startswith("http://out:9000/bucket/k?")
    assert inside.startswith("http://in:9000/bucket/k?")
    await store.close()


async def test_bucket_is_in_the_path_or_the_host() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
    for option, start in (("", "http://s3.test/bucket/k?"), ("&path-style=false", "http://bucket.s3.test/k?")):
        url = f"s3://bucket?endpoint=http://s3.test{option}"
        store = open_store(url, signing_key=b"", public_url="", environment=environment)
        assert (await store.presign("k", timedelta(seconds=9))).startswith(start)
        await store.close()


@pytest.mark.parametrize(
    "url",
    [
        *("", "/x", "file://host/x", "file:relative", "file:///", "s3://", "s3://b/key", "s3://b?x=1"),
        *("s3://b?endpoint=minio:9000", "s3://b?endpoint=", "s3://b?region=a&region=b", "s3://b?path-style=no"),
        *("s3://a:b@c", "s3://b?public-endpoint=http://x?y=z"),
    ],
)
def test_invalid_urls_are_rejected(url: str) -> None:
    with pytest.raises(InvalidStoreUrlError):
        open_store(url, signing_key=b"", public_url="", environment={})
