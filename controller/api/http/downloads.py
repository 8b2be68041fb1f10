"""Serves objects of the store, whole or in part, so that the body always matches the announced length."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from fastapi.responses import Response, StreamingResponse

from controller.api.http import ranges
from controller.api.http.problems import ApiProblemError
from controller.storage import ObjectStore
from controller.storage.errors import BrokenArchiveError

ATTEMPTS = 3


async def object_response(
    store: ObjectStore,
    key: str,
    range_header: str | None,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    sha256: str | None = None,
) -> Response:
    """The response to a GET of this object; a problem 404 if it does not exist.

    With `sha256` (hex), the whole object is served to its end only if it has this digest. Parts are not verified.
    """
    for _ in range(ATTEMPTS):
        info = await store.head(key)
        if info is None:
            break
        part = ranges.parse_range(range_header, info.size)
        body = store.read(key, part.start, part.stop)
        if sha256 is not None and (part.start, part.stop) == (0, info.size):
            body = verify_digest(body, sha256)
        # The first chunk opens the object. If it was replaced after `head`, try again.
        first = await anext(body, b"")
        if await store.head(key) == info:
            response_headers = {**part.headers(), **(headers or {})}
            return StreamingResponse(
                _prepend(first, body), part.status, headers=response_headers, media_type=media_type
            )
        await _close(body)
    raise ApiProblemError("not-found", "the object does not exist, or no longer")


async def verify_digest(chunks: AsyncIterator[bytes], sha256: str) -> AsyncGenerator[bytes, None]:
    """The chunks as they are; instead of the last one raises BrokenArchiveError if all have another digest (hex)."""
    digest, held = hashlib.sha256(), b""
    try:
        async for chunk in chunks:
            digest.update(chunk)
            if held:
                yield held
            held = chunk
    finally:
        await _close(chunks)
    if digest.hexdigest() != sha256:
        raise BrokenArchiveError(f"the stored bytes have the digest {digest.hexdigest()}, not {sha256}")
    yield held


async def _prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await _close(rest)


async def _close(body: AsyncIterator[bytes]) -> None:
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
