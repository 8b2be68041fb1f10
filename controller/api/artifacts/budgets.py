"""Byte budgets: how much a run, or the runs of a namespace together, may store.

A budget is checked twice: before an agent gets the URL of an upload, with what was promised to others, and again when
it commits, with what the store lists by then. So neither uploads at the same time nor several replicas of the API store
more than the budget in the end.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from controller.api.http.problems import ApiProblemError
from controller.storage.base import UPLOADS

if TYPE_CHECKING:
    from controller.storage import ObjectStore

LISTING_SECONDS = 30.0
"""How old a listing may be for a promise; a commit is checked against a new one."""
_REFUSED_LISTING_SECONDS = 1.0
_NEW_LISTING = -1.0
_MAX_REMEMBERED = 1024
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


@dataclass
class _Usage:
    """The size of what is stored below a prefix, and what was promised since: size and end of the promise by key."""

    listed_at: float
    stored: int
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes of the stored objects that were promised."""
    promised: dict[str, tuple[int, float]] = field(default_factory=dict)

    def without(self, key: str) -> int:
        """Bytes in use, of all objects but one."""
        promised = sum(size for name, (size, _) in self.promised.items() if name != key and name not in self.sizes)
        return self.stored - self.sizes.get(key, 0) + promised


class StorageBudget:
    """Bounds the bytes of the objects that belong together, counting what is stored and what was promised.

    Args:
        subject: what is counted, as the subject of a sentence in the plural.
        flag: the setting of the controller.
        limit: bytes; 0 for no limit.
        depth: how many parts of a key name what the budget belongs to; None for all but the last.
        promise_seconds: how long the URL of an upload is valid.
        clock: seconds on a monotonic clock.
    """

    def __init__(
        self,
        store: "ObjectStore",
        subject: str,
        flag: str,
        limit: int,
        *,
        depth: int | None,
        promise_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._subject = subject
        self._flag = flag
        self._limit = limit
        self._depth = depth
        self._promise_seconds = promise_seconds
        self._clock = clock
        self._usages: dict[str, _Usage] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def left(self, key: str) -> int | None:
        """How many bytes the object may have; None without a limit."""
        if not self._limit:
            return None
        usage = await self._usage(key, LISTING_SECONDS)
        return max(self._limit - usage.without(key), 0)

    async def promise(self, key: str, size: int) -> None:
        """Reserve room for an object that is about to be uploaded. Raises a problem beyond the limit."""
        if not self._limit:
            return
        usage = await self._usage(key, LISTING_SECONDS)
        if usage.without(key) + size > self._limit:
            # Something may have been deleted since the listing.
            usage = await self._usage(key, _REFUSED_LISTING_SECONDS)
        self._check(usage, key, size)
        usage.promised[key] = (size, self._clock() + self._promise_seconds)

    async def commit(self, key: str, size: int) -> None:
        """Check an upload before it is committed; one beyond the limit is deleted, and a problem raised."""
        if not self._limit:
            return
        usage = await self._usage(key, _NEW_LISTING)
        try:
            self._check(usage, key, size)
        except ApiProblemError:
            await self._store.delete(UPLOADS + key)
            self._usages.pop(self._prefix(key), None)
            raise
        usage.promised[key] = (size, self._clock() + self._promise_seconds)

    def _prefix(self, key: str) -> str:
        """The prefix of all objects that are counted together with this one."""
        parts = key.split("/")
        return "/".join(parts[: len(parts) - 1 if self._depth is None else self._depth]) + "/"

    async def _usage(self, key: str, max_age: float) -> _Usage:
        prefix = self._prefix(key)
        lock = self._locks.setdefault(prefix, asyncio.Lock())
        async with lock:
            now, usage = self._clock(), self._usages.pop(prefix, None)
            if usage is None or now - usage.listed_at > max_age:
                promised = {} if usage is None else usage.promised
                usage = _Usage(now, 0, promised={name: each for name, each in promised.items() if each[1] > now})
                for root in ("", UPLOADS):
                    async for info in self._store.list(root + prefix):
                        usage.stored += info.size
                        name = info.key.removeprefix(root)
                        if name in usage.promised or name == key:
                            usage.sizes[name] = usage.sizes.get(name, 0) + info.size
            # The least recently used ones are forgotten, and listed again when they are needed.
            self._usages[prefix] = usage
            while len(self._usages) > _MAX_REMEMBERED:
                del self._usages[next(iter(self._usages))]
            return usage

    def _check(self, usage: _Usage, key: str, size: int) -> None:
        used = usage.without(key)
        if used + size > self._limit:
            raise ApiProblemError(
                "over-budget",
                f"{self._subject} would have {format_bytes(used + size)} together: {format_bytes(used)} are stored or "
                f"being stored, {format_bytes(size)} are new, and the limit is {format_bytes(self._limit)} "
                f"({self._flag})",
            )


@dataclass(frozen=True)
class StorageBudgets:
    """The budgets of a controller."""

    artifacts: StorageBudget
    caches: StorageBudget
    sources: StorageBudget
    workspaces: StorageBudget


def format_bytes(size: int) -> str:
    """A size with a binary unit."""
    for unit, factor in _UNITS:
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"
