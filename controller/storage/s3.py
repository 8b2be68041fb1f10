"""The object store in S3 or a compatible service, by boto3.

boto3 blocks, so every call runs in a small thread pool of the store. Streams are uploaded in parts; an error aborts the
upload, so that no partial object remains.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from controller.storage.base import Method, ObjectInfo
from controller.storage.chunking import rechunk
from controller.storage.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from controller.storage.keys import check_key, check_prefix

PART_SIZE = 8 * 1024 * 1024
CHUNK_SIZE = 1024 * 1024
THREADS = 8
_MISSING = {"404", "NoSuchKey", "NotFound"}
_EXISTS = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
_STORE_FULL = {"507", "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge"}


@dataclass(frozen=True)
class S3Credentials:
    """Access keys. Neither messages nor `repr` show them."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class S3Store:
    """Stores objects in a bucket below `prefix`. Without credentials boto3 uses its own sources for them.

    `public_endpoint` is the address in URLs for clients outside of the cluster. `client` is for tests.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        public_endpoint: str | None = None,
        region: str = "us-east-1",
        prefix: str = "",
        credentials: S3Credentials | None = None,
        client: Any = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{check_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._client = client or create_client(endpoint, region, credentials)
        public = public_endpoint not in (None, endpoint) and client is None
        self._signer = create_client(public_endpoint, region, credentials) if public else self._client
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """See ObjectStore."""
        check_key(key)
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        if isinstance(data, bytes):
            return await self._put_bytes(key, data, condition)
        parts = rechunk(data, PART_SIZE)
        first = await anext(parts, b"")
        if len(first) < PART_SIZE:
            return await self._put_bytes(key, first, condition)
        return await self._put_parts(key, first, parts, condition)

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """See ObjectStore."""
        response = await self._call("read", key, self._client.get_object, Key=self._full_key(key))
        size = int(response["ContentLength"])
        body = response["Body"]
        try:
            if limit is not None and size > limit:
                raise ObjectTooLargeError(f"the object {key} has {size} bytes, more than the limit of {limit}")
            return bytes(await self._thread("read", key, body.read))
        finally:
            body.close()

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        start = max(start, 0)
        if end is not None and end <= start:
            return
        byte_range = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        try:
            response = await self._call("read", key, self._client.get_object, Key=self._full_key(key), **byte_range)
        except _RangeError:
            return
        body = response["Body"]
        try:
            while chunk := await self._thread("read", key, partial(body.read, CHUNK_SIZE)):
                yield bytes(chunk)
        finally:
            body.close()

    async def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        try:
            response = await self._call("stat", key, self._client.head_object, Key=self._full_key(key))
        except ObjectNotFoundError:
            return None
        return ObjectInfo(key, int(response["ContentLength"]), response["LastModified"])

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """See ObjectStore."""
        full_prefix = self._prefix + check_prefix(prefix)
        token: dict[str, str] = {}
        while True:
            response = await self._call("list", prefix, self._client.list_objects_v2, Prefix=full_prefix, **token)
            for each in response.get("Contents", ()):
                key = each["Key"].removeprefix(self._prefix)
                yield ObjectInfo(key, int(each["Size"]), each["LastModified"])
            if not response.get("IsTruncated"):
                return
            token = {"ContinuationToken": response["NextContinuationToken"]}

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        await self._call("delete", key, self._client.delete_object, Key=self._full_key(key))

    async def presign(self, key: str, method: Method, expires: timedelta, *, external: bool = False) -> str:
        """See ObjectStore. S3 allows at most seven days."""
        signer = self._signer if external else self._client
        operation = "get_object" if method == "GET" else "put_object"
        sign = partial(
            signer.generate_presigned_url,
            operation,
            Params={"Bucket": self._bucket, "Key": self._full_key(key)},
            ExpiresIn=int(expires.total_seconds()),
        )
        return str(await self._thread("sign", key, sign))

    async def close(self) -> None:
        """See ObjectStore."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._client.close()

    def _full_key(self, key: str) -> str:
        return self._prefix + check_key(key)

    async def _put_bytes(self, key: str, data: bytes, condition: dict[str, str]) -> ObjectInfo:
        put = self._client.put_object
        await self._call("write", key, put, Key=self._full_key(key), Body=io.BytesIO(data), **condition)
        return ObjectInfo(key, len(data), datetime.now(UTC))

    async def _put_parts(
        self, key: str, first: bytes, rest: AsyncIterator[bytes], condition: dict[str, str]
    ) -> ObjectInfo:
        name = self._full_key(key)
        upload = (await self._call("write", key, self._client.create_multipart_upload, Key=name))["UploadId"]
        named = {"Key": name, "UploadId": upload}
        try:
            sent = [await self._put_part(key, named, 1, first)]
            size = len(first)
            async for chunk in rest:
                sent.append(await self._put_part(key, named, len(sent) + 1, chunk))
                size += len(chunk)
            complete = self._client.complete_multipart_upload
            await self._call("write", key, complete, **named, MultipartUpload={"Parts": sent}, **condition)
        except BaseException:
            await asyncio.shield(self._abort(key, named))
            raise
        return ObjectInfo(key, size, datetime.now(UTC))

    async def _put_part(self, key: str, named: dict[str, str], number: int, data: bytes) -> dict[str, Any]:
        send = self._client.upload_part
        response = await self._call("write", key, send, **named, PartNumber=number, Body=io.BytesIO(data))
        return {"PartNumber": number, "ETag": response["ETag"]}

    async def _abort(self, key: str, named: dict[str, str]) -> None:
        try:
            await self._call("abort the upload of", key, self._client.abort_multipart_upload, **named)
        except StorageError:
            # The error of the upload is reported; lifecycle rules of the bucket remove the parts.
            return

    async def _call(self, action: str, key: str, call: Callable[..., Any], **parameters: Any) -> Any:
        return await self._thread(action, key, partial(call, Bucket=self._bucket, **parameters))

    async def _thread(self, action: str, key: str, call: Callable[[], Any]) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            raise _translate(error, action, key, self._bucket) from None
        except (BotoCoreError, OSError) as error:
            text = f"could not {action} the object {key} in the bucket {self._bucket}: {_describe(error)}"
            raise StoreUnavailableError(text) from None


class _RangeError(StorageError):
    """The range starts after the end of the object."""


def create_client(endpoint: str | None, region: str, credentials: S3Credentials | None = None) -> Any:
    """A boto3 client with short timeouts; without credentials boto3 uses its own sources for them."""
    keys: dict[str, Any] = {}
    if credentials is not None:
        keys = {
            "aws_access_key_id": credentials.access_key,
            "aws_secret_access_key": credentials.secret_key,
            "aws_session_token": credentials.session_token,
        }
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=THREADS,
        # Many S3-compatible stores do not support the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config, **keys)


def _translate(error: ClientError, action: str, key: str, bucket: str) -> StorageError:
    """Translate an error of S3. Only its code is shown, because its message may repeat the request."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    failed = f"could not {action} the object {key} in the bucket {bucket}"
    if code == "NoSuchBucket":
        return StoreUnavailableError(f"{failed}: the bucket does not exist; create it or use another one")
    if code in _MISSING:
        return ObjectNotFoundError(f"there is no object {key}")
    if code in _EXISTS:
        return ObjectExistsError(f"there is an object {key} already")
    if code == "InvalidRange" or status == "416":
        return _RangeError(f"{failed}: it is shorter")
    if code in _STORE_FULL or status == "507":
        return StoreFullError(f"{failed}: the store is full ({code}); free some space")
    if code in ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return StoreUnavailableError(f"{failed}: the store rejects the credentials ({code}); check them")
    return StoreUnavailableError(f"{failed}: the store responded with {code or 'an error'} ({status})")


def _describe(error: Exception) -> str:
    return (getattr(error, "fmt", None) and str(error)) or type(error).__name__
