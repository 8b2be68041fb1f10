"""Uploads: streamed bodies with a limited size and idle time, hashed as they pass.

The iterator raises before the store can take the object as complete, so a rejected upload leaves nothing behind.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from controller.api.http.problems import ApiProblemError


async def verify_chunks(chunks: AsyncIterator[bytes], sha256: str, size: int, *, magic: bytes) -> AsyncIterator[bytes]:
    """Chunks as they are; raises if they do not begin, add up or hash as announced (hex digest, bytes)."""
    digest, length, head = hashlib.sha256(), 0, b""
    async for chunk in chunks:
        head = (head + chunk)[: len(magic)] if len(head) < len(magic) else head
        length += len(chunk)
        digest.update(chunk)
        yield chunk
    if head != magic or length != size or digest.hexdigest() != sha256:
        raise ApiProblemError(
            "digest-mismatch", f"{length} bytes with the digest sha256:{digest.hexdigest()} were stored"
        )


class BoundedUpload:
    """The body of one request.

    `limit` is in bytes, `idle_seconds` the longest silence; `magic` is what the body must begin with.
    """

    def __init__(self, request: Request, limit: int, idle_seconds: float, magic: bytes = b"") -> None:
        self._request = request
        self._limit = limit
        self._idle = idle_seconds
        self._magic = magic
        self.size = 0
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > limit:
            raise self._too_large()

    async def verified_chunks(self, sha256: str | None = None, size: int | None = None) -> AsyncIterator[bytes]:
        """The body's chunks; raises at the end if the body is not what was announced (hex digest, bytes)."""
        digest = hashlib.sha256()
        head = b""
        async for chunk in self._chunks():
            if len(head) < len(self._magic):
                head = (head + chunk)[: len(self._magic)]
                if not self._magic.startswith(head):
                    raise ApiProblemError(
                        "unsupported-media-type",
                        "the body is not a tar.gz: it does not start like gzip",
                    )
            self.size += len(chunk)
            if self.size > self._limit:
                raise self._too_large()
            digest.update(chunk)
            yield chunk
        if len(head) < len(self._magic):
            raise ApiProblemError("unsupported-media-type", "the body is not a tar.gz: it is too short")
        if sha256 is not None and digest.hexdigest() != sha256:
            raise ApiProblemError("digest-mismatch", f"the body has the digest sha256:{digest.hexdigest()}")
        if size is not None and self.size != size:
            raise ApiProblemError("digest-mismatch", f"the body has {self.size} bytes, not {size}")

    async def _chunks(self) -> AsyncIterator[bytes]:
        stream = self._request.stream()
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ApiProblemError("timeout", f"no data was received for {self._idle:g} s") from None
            except ClientDisconnect:
                raise ApiProblemError("bad-request", "the connection was closed before the body was complete") from None
            if chunk:
                yield chunk

    def _too_large(self) -> ApiProblemError:
        return ApiProblemError("too-large", f"the body is larger than the limit of {self._limit} bytes")
