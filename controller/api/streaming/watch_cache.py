"""The recent changes of runs, in order, so that a broken watch can be resumed.

Pure bookkeeping over the informer's events; `sse.py` reads it for clients. A reader holds a position, not a queue: a
slow one costs nothing, and once the cache has dropped its position it must list again. Event ids are resourceVersions.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from controller.api.serializers import serialize_run

MAX_CHANGES = 4096
MAX_BYTES = 32 * 1024 * 1024

Kind = Literal["added", "modified", "deleted"]


@dataclass(frozen=True)
class Change:
    """One change of one run; `data` is the run as JSON.

    `version` is its event id, or None for a change that was found by listing, which has no position
    in Kubernetes' order.
    """

    kind: Kind
    namespace: str
    name: str
    version: int | None
    data: bytes


class WatchCache:
    """Changes in the order in which they became known.

    When a watch was lost for long, the informer lists again and finds what changed meanwhile, in no order.
    Such changes are kept without an id, behind the last one that has one: a reader that resumes from that id
    receives them (perhaps again, which is harmless, since a change carries the whole run).
    """

    def __init__(self, max_changes: int = MAX_CHANGES, max_bytes: int = MAX_BYTES) -> None:
        self._limit = max_changes
        self._size_limit = max_bytes
        self._size = 0
        self._changes: deque[Change] = deque()
        self._start = 0
        self._wake = asyncio.Event()
        self._floor: int | None = None
        self._floor_is_complete = True
        self.latest = 0
        self.closed = False

    @property
    def is_synced(self) -> bool:
        """Whether the first list is complete: before that, there is nothing to resume from."""
        return self._floor is not None

    @property
    def end(self) -> int:
        """The position after the last change."""
        return self._start + len(self._changes)

    def mark_synced(self, resource_version: str) -> None:
        """A list as of this version is in the cache; after the first one, changes are recorded."""
        self.latest = max(self.latest, parse_version(resource_version) or 0)
        if self._floor is None:
            self._floor = self.latest
        self._notify()

    def record(self, kind: Kind, run: Mapping[str, Any]) -> None:
        """Records one change; those of the first list are not changes."""
        if self._floor is None:
            return
        meta = run["metadata"]
        version = parse_version(str(meta.get("resourceVersion", "")))
        if version is not None and version > self.latest:
            self.latest = version
        else:
            version = None
        data = json.dumps(serialize_run(run, definition=False), separators=(",", ":")).encode()
        self._append(Change(kind, str(meta["namespace"]), str(meta["name"]), version, data))

    def close(self) -> None:
        """Shutdown: every reader wakes and stops."""
        self.closed = True
        self._notify()

    async def wait_closed(self) -> None:
        """Returns on shutdown."""
        while not self.closed:
            await self._wake.wait()

    def cursor_after(self, version: int) -> int | None:
        """The position after `version`, for a reader that knows everything up to it; None if that is too long ago."""
        if self._floor is None or version < self._floor or (version == self._floor and not self._floor_is_complete):
            return None
        for index in range(len(self._changes) - 1, -1, -1):
            known = self._changes[index].version
            if known is not None and known <= version:
                return self._start + index + 1
        return self._start

    def read(self, position: int, limit: int = 256) -> list[Change] | None:
        """The next changes from a position on; None if they have been dropped."""
        if position < self._start:
            return None
        skip = position - self._start
        return [self._changes[index] for index in range(skip, min(skip + limit, len(self._changes)))]

    async def wait_for_change(self, position: int, seconds: float) -> bool:
        """Waits for a change after the position; False after `seconds` without one."""
        try:
            async with asyncio.timeout(seconds):
                while self.end <= position and not self.closed:
                    await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def wait_for_version(self, version: int, seconds: float) -> bool:
        """Waits until the cache has reached this version, which a client may know already; False after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while (not self.is_synced or self.latest < version) and not self.closed:
                    await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _append(self, change: Change) -> None:
        self._changes.append(change)
        self._size += len(change.data)
        while len(self._changes) > self._limit or (self._size > self._size_limit and len(self._changes) > 1):
            gone = self._changes.popleft()
            self._start += 1
            self._size -= len(gone.data)
            # Resuming from an id includes the changes without an id behind it: when one of these is dropped, the id
            # is no longer valid.
            self._floor_is_complete = gone.version is not None
            self._floor = gone.version if gone.version is not None else self._floor
        self._notify()

    def _notify(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()


def parse_version(text: str) -> int | None:
    """A resourceVersion as a number, which Kubernetes lets clients compare; None for an invalid one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
