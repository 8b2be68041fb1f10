"""What every object store can do; the rest of the controller knows no more of it than this.

Objects are whole or absent: a reader never sees a half-written one. There is no rename, no append and no
directory, because not every store has them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

Method = Literal["GET", "PUT"]


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of an object without reading it: its size in bytes and when it was written (UTC)."""

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """A place for objects by key.

    Every method raises `InvalidKeyError` for a key that is none, and `StoreUnavailableError` when the store
    can't be reached.
    """

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """Stores an object, whole or not at all; an error raised by `data` leaves nothing behind.

        Replaces what was there, unless `if_absent`: then raises ObjectExistsError. Raises StoreFullError without room.
        """
        ...

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """A whole object. Raises ObjectNotFoundError, or ObjectTooLargeError when it has more than `limit` bytes."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, end) in pieces; an `end` beyond the object is its end. Raises ObjectNotFoundError."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object, or None when there is none."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose keys begin with the prefix, in the order of their keys' bytes."""
        ...

    async def delete(self, key: str) -> None:
        """Removes an object; fine when there is none."""
        ...

    async def presign(self, key: str, method: Method, expires: timedelta, *, external: bool = False) -> str:
        """A URL that lets whoever has it GET or PUT this one object until it expires, counted from now.

        `outside`: for a reader who is not inside the cluster, and may know the store by another address.
        """
        ...

    async def close(self) -> None:
        """Gives back threads and connections. The store can't be used after."""
        ...
