"""The interface of object stores.

Objects are complete or absent: a reader never sees a partial one. There is no rename, no append and no directory,
because not every store supports them.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from urllib.parse import quote

Method = Literal["GET", "PUT"]
UPLOADS = "uploads/"
"""Below this prefix are uploads that are not committed. Nothing there is ever read as an object."""


@dataclass(frozen=True)
class ObjectInfo:
    """The metadata of an object: its size in bytes and the time of its last write (UTC)."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Download:
    """The headers of a download by a signed URL: the media type, and the file name that a browser saves it under.

    `filename` may be any text. Line breaks and other control characters, slashes and backslashes become `_`.
    """

    content_type: str
    filename: str

    @property
    def content_disposition(self) -> str:
        """The header of RFC 6266: an ASCII form for old clients, and the name itself in UTF-8."""
        name = "".join("_" if not char.isprintable() or char in "/\\" else char for char in self.filename)
        fallback = "".join("_" if char == '"' or not char.isascii() else char for char in name)
        encoded = quote(name.encode("utf-8", "replace"), safe="")
        return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{encoded}"


@dataclass(frozen=True)
class UploadLink:
    """A URL to PUT the bytes of an object to, with the headers that the request must have besides Content-Length."""

    url: str
    headers: Mapping[str, str]


class ObjectStore(Protocol):
    """Stores objects by key.

    Every method raises `InvalidKeyError` for an invalid key, and `StoreUnavailableError` if the store does not respond.
    """

    async def start(self) -> None:
        """Detect what the store does not support, and log it. A store that does not respond is asked again later."""
        ...

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """Store an object, completely or not at all; an error raised by `data` leaves nothing behind.

        An existing object is replaced; with `if_absent` it raises ObjectExistsError. Raises StoreFullError.
        """
        ...

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Read an object. Raises ObjectNotFoundError, or ObjectTooLargeError if it has more than `limit` bytes."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Read the bytes [start, end) in chunks, at most to the end of the object. Raises ObjectNotFoundError."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """The metadata of an object, or None if it does not exist."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose keys start with the prefix, sorted by the bytes of the key."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; a missing one is ignored."""
        ...

    async def presign(
        self, key: str, expires: timedelta, *, external: bool = False, download: Download | None = None
    ) -> str:
        """A URL that permits anyone to GET this object until it expires, counted from now.

        Args:
            external: for a client outside of the cluster, which may reach the store under another address.
            download: the headers of the response to a GET.
        """
        ...

    async def presign_upload(self, key: str, size: int, sha256: str, expires: timedelta) -> UploadLink:
        """A link that permits anyone to upload bytes of this size and digest (hex) for an object, until it expires.

        The object does not exist before `commit_upload`, and the link can't change it afterwards.
        """
        ...

    async def commit_upload(self, key: str, size: int, sha256: str) -> None:
        """Make the uploaded bytes the object. Without effect if the object exists with this size.

        `key` has to contain the digest, so that another object can't be meant. Raises ObjectNotFoundError if nothing
        was uploaded, UploadMismatchError if it has another size or digest.
        """
        ...

    async def close(self) -> None:
        """Release threads and connections; the store can't be used afterwards."""
        ...
