"""The object store in S3 or a compatible service, by boto3.

boto3 blocks, so every call runs in a small thread pool of the store. Streams are uploaded in parts; an error aborts the
upload, so that no partial object remains.
"""

import asyncio
import base64
import hashlib
import io
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from controller.storage.base import UPLOADS, Download, ObjectInfo, UploadLink
from controller.storage.chunking import rechunk
from controller.storage.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreUnavailableError,
    UploadMismatchError,
)
from controller.storage.keys import check_key, check_prefix
from controller.storage.s3_client import (
    THREADS,
    NoConditionsError,
    RangeError,
    S3Credentials,
    create_client,
    describe_error,
    missing_bucket,
    translate_error,
)

log = logging.getLogger("c8s.store")

PART_SIZE = 8 * 1024 * 1024
CHUNK_SIZE = 1024 * 1024
_CONTENT_TYPE = "application/octet-stream"
_PROBE_FOLDER = "c8s-probes"


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
        path_style: bool | None = None,
        client: Any = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{check_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._client = client or create_client(endpoint, region, credentials, path_style=path_style)
        public = public_endpoint not in (None, endpoint) and client is None
        self._signer = self._client
        if public:
            self._signer = create_client(public_endpoint, region, credentials, path_style=path_style)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        self._has_conditions: bool | None = None
        self._bucket_exists = False
        self._locks: dict[str, _KeyLock] = {}

    async def start(self) -> None:
        """Detect whether the store supports conditional writes; see ObjectStore."""
        try:
            await self._supports_conditions()
        except StorageError as error:
            log.warning("the object store can't be used yet: %s", error)

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """See ObjectStore.

        A store that ignores If-None-Match is asked for the object first. Then only one of the callers of this process
        stores an object, but one of another process that asks at the same moment may replace it.
        """
        check_key(key)
        if not if_absent:
            return await self._put(key, data, {})
        if await self._supports_conditions():
            return await self._put(key, data, {"IfNoneMatch": "*"})
        async with self._key_lock(key):
            if await self.head(key) is not None:
                raise ObjectExistsError(f"there is an object {key} already")
            return await self._put(key, data, {})

    @asynccontextmanager
    async def _key_lock(self, key: str) -> AsyncIterator[None]:
        """Excludes other writers of this process."""
        entry = self._locks.setdefault(key, _KeyLock())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._locks[key]

    async def _supports_conditions(self) -> bool:
        """Whether the store refuses to replace an object with If-None-Match: it is tried once, on a key for this."""
        if self._has_conditions is None:
            key = f"{_PROBE_FOLDER}/{secrets.token_hex(8)}"
            try:
                supports = await self._try_condition(key)
            finally:
                await self._delete_probe(key)
            if not supports and self._has_conditions is None:
                log.warning(
                    "the object store ignores If-None-Match: of several API processes that store the same object at "
                    "the same time, the last one wins; see docs/object-store.md"
                )
            self._has_conditions = supports
        return self._has_conditions

    async def _try_condition(self, key: str) -> bool:
        try:
            await self._put_bytes(key, b"1", {"IfNoneMatch": "*"})
            await self._put_bytes(key, b"2", {"IfNoneMatch": "*"})
        except ObjectExistsError:
            return True
        except NoConditionsError:
            return False
        return False

    async def _delete_probe(self, key: str) -> None:
        try:
            await self.delete(key)
        except StorageError as error:
            log.warning("could not delete the probe: %s", error)

    async def _put(self, key: str, data: bytes | AsyncIterator[bytes], condition: dict[str, str]) -> ObjectInfo:
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
        except RangeError:
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
            # The response of S3 has no body, so that a missing bucket looks like a missing object.
            await self._check_bucket()
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

    async def presign(
        self, key: str, expires: timedelta, *, external: bool = False, download: Download | None = None
    ) -> str:
        """See ObjectStore. S3 allows at most seven days."""
        signer = self._signer if external else self._client
        options: dict[str, Any] = {}
        if download is not None:
            options["ResponseContentType"] = download.content_type
            options["ResponseContentDisposition"] = download.content_disposition
        sign = partial(
            signer.generate_presigned_url,
            "get_object",
            Params={"Bucket": self._bucket, "Key": self._full_key(key), **options},
            ExpiresIn=int(expires.total_seconds()),
        )
        return str(await self._thread("sign", key, sign))

    async def presign_upload(self, key: str, size: int, sha256: str, expires: timedelta) -> UploadLink:
        """See ObjectStore. Size and digest are signed: S3 refuses other bytes, and a longer or shorter body."""
        checksum = _base64_of(sha256)
        content = {"ContentLength": size, "ChecksumSHA256": checksum}
        sign = partial(
            self._client.generate_presigned_url,
            "put_object",
            Params={"Bucket": self._bucket, "Key": self._full_key(UPLOADS + key), **content},
            ExpiresIn=int(expires.total_seconds()),
        )
        return UploadLink(str(await self._thread("sign", key, sign)), {"x-amz-checksum-sha256": checksum})

    async def commit_upload(self, key: str, size: int, sha256: str) -> None:
        """See ObjectStore.

        The digest is the one that S3 computed, and the copy is of these very bytes (If-Match), whatever is uploaded
        meanwhile. In a store that computes none, the copy is read, which no link can change.
        """
        name, uploaded = self._full_key(key), self._full_key(UPLOADS + key)
        existing = await self.head(key)
        if existing is not None and existing.size == size:
            await self.delete(UPLOADS + key)
            return
        found = await self._call("stat", key, self._client.head_object, Key=uploaded, ChecksumMode="ENABLED")
        if int(found["ContentLength"]) != size:
            raise UploadMismatchError(f"the upload for {key} has {found['ContentLength']} bytes, not {size}")
        checksum = found.get("ChecksumSHA256")
        if checksum not in (None, _base64_of(sha256)):
            raise UploadMismatchError(f"the upload for {key} has not the digest {sha256}")
        source, copy = {"Bucket": self._bucket, "Key": uploaded}, self._client.copy_object
        try:
            await self._call("commit", key, copy, Key=name, CopySource=source, CopySourceIfMatch=found["ETag"])
        except ObjectExistsError:
            # The code of a precondition that fails.
            raise UploadMismatchError(f"the upload for {key} was replaced while it was committed") from None
        if checksum is None and await self._read_sha256(key) != sha256:
            await self.delete(key)
            raise UploadMismatchError(f"the upload for {key} has not the digest {sha256}")
        await self.delete(UPLOADS + key)

    async def _read_sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        async for chunk in self.read(key):
            await asyncio.to_thread(digest.update, chunk)
        return digest.hexdigest()

    async def close(self) -> None:
        """See ObjectStore."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._client.close()

    def _full_key(self, key: str) -> str:
        return self._prefix + check_key(key)

    async def _put_bytes(self, key: str, data: bytes, condition: dict[str, str]) -> ObjectInfo:
        put = self._client.put_object
        body = {"Body": io.BytesIO(data), "ContentType": _CONTENT_TYPE}
        await self._call("write", key, put, Key=self._full_key(key), **body, **condition)
        return ObjectInfo(key, len(data), datetime.now(UTC))

    async def _put_parts(
        self, key: str, first: bytes, rest: AsyncIterator[bytes], condition: dict[str, str]
    ) -> ObjectInfo:
        name = self._full_key(key)
        begin = self._client.create_multipart_upload
        upload = (await self._call("write", key, begin, Key=name, ContentType=_CONTENT_TYPE))["UploadId"]
        named = {"Key": name, "UploadId": upload}
        try:
            sent = [await self._put_part(key, named, 1, first)]
            size = len(first)
            async for chunk in rest:
                sent.append(await self._put_part(key, named, len(sent) + 1, chunk))
                size += len(chunk)
            if condition and await self.head(key) is not None:
                # Some stores that support the condition ignore it here.
                raise ObjectExistsError(f"there is an object {key} already")
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

    async def _check_bucket(self) -> None:
        """Raises StoreUnavailableError if there is no bucket; asks until there has been one."""
        if self._bucket_exists:
            return
        try:
            await self._call("use", "", self._client.head_bucket)
        except ObjectNotFoundError:
            raise StoreUnavailableError(missing_bucket(f"could not use the bucket {self._bucket}")) from None

    async def _call(self, action: str, key: str, call: Callable[..., Any], **parameters: Any) -> Any:
        response = await self._thread(action, key, partial(call, Bucket=self._bucket, **parameters))
        self._bucket_exists = True
        return response

    async def _thread(self, action: str, key: str, call: Callable[[], Any]) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            raise translate_error(error, action, key, self._bucket) from None
        except (BotoCoreError, OSError) as error:
            text = f"could not {action} the object {key} in the bucket {self._bucket}: {describe_error(error)}"
            raise StoreUnavailableError(text) from None


@dataclass
class _KeyLock:
    """A lock that exists while it is held or waited for."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


def _base64_of(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()
