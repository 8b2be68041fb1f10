"""Stores objects in SQLite under one revision counter, together with the recent changes.

Every write is one transaction and one revision. With the write-ahead log and `synchronous=NORMAL`, acknowledged writes
survive a killed process; a power failure may lose the last ones. Watches resume from the changes, also after a restart,
and lists at an earlier revision are computed from them. The number and size of the kept changes are limited.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from embedded.storage.database import StorageError, open_database
from embedded.storage.object_cache import SizedCache
from embedded.storage.object_size import MAX_OBJECT_BYTES, etcd_size
from embedded.types import JsonObject

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

# The last change is never dropped, so it has the revision; the table `revision` is for databases without changes.
_REVISION = "SELECT max(value, ifnull((SELECT max(revision) FROM changes), 0)) FROM revision"
_PUT = "INSERT OR REPLACE INTO objects (resource, namespace, name, body) VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?"
_CACHE_BYTES = 2 << 20
_CHANGE = "SELECT revision, type, resource, namespace, name, body, previous FROM changes WHERE revision > ?"


@dataclass(frozen=True, slots=True)
class StorageKey:
    """The key of an object: `resource` is `plural.group` (or `plural`), `namespace` is empty for cluster scope."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class StoreEvent:
    """A change of one object.

    Attributes:
        body: the object as JSON after the change; for DELETED its last state.
        previous_body: the object as JSON before the change; None for ADDED.
    """

    revision: int
    type: EventType
    key: StorageKey
    body: bytes
    previous_body: bytes | None
    decoded_previous: JsonObject | None = field(default=None, repr=False, compare=False)
    """The decoded `previous_body`, if it is known."""

    @cached_property
    def object(self) -> JsonObject:
        """The decoded `body`, shared by all watchers: it must not be changed."""
        found: JsonObject = json.loads(self.body)
        return found

    @cached_property
    def previous(self) -> JsonObject | None:
        """The decoded `previous_body`; it must not be changed."""
        if self.decoded_previous is not None:
            return self.decoded_previous
        found: JsonObject | None = json.loads(self.previous_body) if self.previous_body is not None else None
        return found

    @property
    def is_decoded(self) -> bool:
        """Whether `object` has been read."""
        return "object" in self.__dict__

    @property
    def size(self) -> int:
        return len(self.body) + len(self.previous_body or b"")


@dataclass(frozen=True, slots=True)
class _Stored:
    """An object as it is stored, and the change that it was stored with, if that is known."""

    body: bytes
    event: StoreEvent | None = None


_Write = tuple[StoreEvent, str, tuple[Any, ...]]
"""A change, and the statement that makes it with its values."""


class CompactedError(Exception):
    """The changes after a revision are no longer kept; `oldest` is the first revision that can be requested."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest revision kept is {oldest}")
        self.oldest = oldest


class ObjectTooLargeError(Exception):
    """An object is larger than etcd takes."""

    def __init__(self, key: StorageKey, size: int) -> None:
        name = f"{key.resource} {key.namespace}/{key.name}"
        super().__init__(f"{name} has {size} bytes; at most {MAX_OBJECT_BYTES} can be stored")


class SqliteStore:
    """The objects of a cluster. Not thread-safe: one event loop uses it.

    Args:
        path: the database file.
        history_events: the maximum number of changes to keep.
        history_bytes: the maximum size of these changes.
    """

    def __init__(self, path: Path, *, history_events: int = 20_000, history_bytes: int = 16 << 20) -> None:
        self._db = open_database(path)
        try:
            self._revision: int = self._db.execute(_REVISION).fetchone()[0]
            sizes = self._db.execute("SELECT revision, length(body) + ifnull(length(previous), 0) FROM changes")
            self._history: deque[tuple[int, int]] = deque(sorted(sizes.fetchall()))
        except sqlite3.Error as error:
            self._db.close()
            raise StorageError(f"cannot read the database {path}: {error}") from error
        self._path = path
        self._cache: SizedCache[StorageKey, _Stored] = SizedCache(_CACHE_BYTES)
        self._history_bytes = sum(size for _, size in self._history)
        self._max_events, self._max_bytes = history_events, history_bytes
        # Changes are dropped in batches, so that not every write to a full history also deletes.
        self._slack = history_events // 64
        self._oldest = self._history[0][0] - 1 if self._history else self._revision
        self._listeners: list[Callable[[StoreEvent], None]] = []

    @property
    def revision(self) -> int:
        """The revision of the last change."""
        return self._revision

    def close(self) -> None:
        self._db.close()

    def subscribe(self, listener: Callable[[StoreEvent], None]) -> Callable[[], None]:
        """Call `listener` with each change from now on; returns a function that unsubscribes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, key: StorageKey) -> bytes | None:
        cached = self._cache.get(key)
        if cached is not None:
            return cached.body
        row = self._db.execute(
            "SELECT body FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (key.resource, key.namespace, key.name),
        ).fetchone()
        if row is None:
            return None
        body: bytes = row[0]
        self._cache.put(key, _Stored(body), len(body))
        return body

    def scan(
        self, resource: str, namespace: str | None = None, after: tuple[str, str] = ("", "")
    ) -> Iterator[tuple[StorageKey, bytes]]:
        """The objects of a resource, ordered by namespace and name, that follow `after` = (namespace, name)."""
        if namespace is None:
            rows = self._db.execute(
                "SELECT namespace, name, body FROM objects WHERE resource = ? AND (namespace, name) > (?, ?) "
                "ORDER BY namespace, name",
                (resource, *after),
            )
        else:
            rows = self._db.execute(
                "SELECT namespace, name, body FROM objects WHERE resource = ? AND namespace = ? AND name > ? "
                "ORDER BY name",
                (resource, namespace, after[1]),
            )
        for found_namespace, name, body in rows:
            yield StorageKey(resource, found_namespace, name), body

    def resources_in(self, namespace: str) -> list[str]:
        """The resources that have objects in a namespace."""
        rows = self._db.execute("SELECT DISTINCT resource FROM objects WHERE namespace = ?", (namespace,))
        return [row[0] for row in rows]

    def count(self, resource: str, namespace: str) -> int:
        """The number of objects of a resource in a namespace."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM objects WHERE resource = ? AND namespace = ?", (resource, namespace)
        ).fetchone()
        return int(row[0])

    def put(self, key: StorageKey, obj: JsonObject, previous: JsonObject | None) -> bytes:
        """Store an object with a new resourceVersion; returns its JSON.

        Raises:
            ObjectTooLargeError: it would have more than `MAX_OBJECT_BYTES` in etcd.
        """
        return self.put_all([(key, obj, previous)])[0]

    def put_all(self, objects: Sequence[tuple[StorageKey, JsonObject, JsonObject | None]]) -> list[bytes]:
        """Store several objects as `put`, each with a revision of its own, in one transaction; no key is there twice.

        Raises:
            ObjectTooLargeError: one would have more than `MAX_OBJECT_BYTES` in etcd; nothing is stored.
        """
        writes: list[_Write] = []
        for revision, (key, obj, previous) in enumerate(objects, self._revision + 1):
            obj["metadata"]["resourceVersion"] = str(revision)
            body = encode_json(obj)
            if (size := etcd_size(key.resource, obj, body)) > MAX_OBJECT_BYTES:
                raise ObjectTooLargeError(key, size)
            if previous:
                event = StoreEvent(revision, "MODIFIED", key, body, *self._previous_state(key, previous))
            else:
                event = StoreEvent(revision, "ADDED", key, body, None)
            writes.append((event, _PUT, (key.resource, key.namespace, key.name, body)))
        self._write(writes)
        return [event.body for event, _, _ in writes]

    def _previous_state(self, key: StorageKey, previous: JsonObject) -> tuple[bytes, JsonObject | None]:
        """The object before a change: as JSON, and decoded if that needs no work."""
        stored = self._cache.get(key)
        if stored is None:
            return encode_json(previous), None
        event = stored.event
        return stored.body, event.object if event is not None and event.is_decoded else None

    def delete(self, key: StorageKey, last: JsonObject) -> JsonObject:
        """Remove an object; returns its last state with the revision of the removal."""
        revision = self._revision + 1
        gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(revision)}}
        event = StoreEvent(revision, "DELETED", key, encode_json(gone), encode_json(last))
        self._write([(event, _DELETE, (key.resource, key.namespace, key.name))])
        return gone

    def require_retained(self, revision: int) -> None:
        """Check that all changes after a revision are kept.

        Raises:
            CompactedError: some are not.
        """
        if revision < self._oldest:
            raise CompactedError(self._oldest)

    def events_since(self, revision: int, resource: str | None = None) -> list[StoreEvent]:
        """The changes of one resource (None: of all) after a revision, oldest first.

        Raises:
            CompactedError: some of them are no longer kept.
        """
        self.require_retained(revision)
        if resource is None:
            rows = self._db.execute(_CHANGE + " ORDER BY revision", (revision,))
        else:
            rows = self._db.execute(_CHANGE + " AND resource = ? ORDER BY revision", (revision, resource))
        return [StoreEvent(row[0], row[1], StorageKey(*row[2:5]), row[5], row[6]) for row in rows]

    def scan_at(
        self, revision: int, resource: str, namespace: str | None = None, after: tuple[str, str] = ("", "")
    ) -> Iterator[tuple[StorageKey, bytes]]:
        """As `scan`, for the objects as they were at an earlier revision.

        Raises:
            CompactedError: some changes since then are no longer kept.
        """
        # The first change of an object after the revision has its state at the revision.
        then: dict[StorageKey, bytes | None] = {}
        for event in self.events_since(revision, resource) if revision < self._revision else ():
            if namespace in (None, event.key.namespace) and (event.key.namespace, event.key.name) > after:
                then.setdefault(event.key, event.previous_body)
        now = (item for item in self.scan(resource, namespace, after) if item[0] not in then)
        before = sorted(((key, body) for key, body in then.items() if body is not None), key=_sort_key)
        return heapq.merge(now, before, key=_sort_key)

    def _write(self, writes: Sequence[_Write]) -> None:
        events = [event for event, _, _ in writes]
        dropped = self._count_expired(events)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for event, statement, values in writes:
                key = event.key
                row = (event.revision, event.type, key.resource, key.namespace, key.name)
                self._db.execute(statement, values)
                self._db.execute(
                    "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, event.body, event.previous_body)
                )
            if dropped:
                self._db.execute("DELETE FROM changes WHERE revision <= ?", (self._history[dropped - 1][0],))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StorageError(f"cannot write to the database {self._path}: {error}") from error
        self._revision = events[-1].revision
        for _ in range(dropped):
            self._oldest, size = self._history.popleft()
            self._history_bytes -= size
        for event in events:
            self._history.append((event.revision, event.size))
            self._history_bytes += event.size
            if event.type == "DELETED":
                self._cache.remove(event.key)
            else:
                self._cache.put(event.key, _Stored(event.body, event), event.size)
        for event in events:
            for listener in tuple(self._listeners):
                listener(event)

    def _count_expired(self, new: Sequence[StoreEvent]) -> int:
        """How many of the oldest changes must be dropped to make room for these."""
        events = len(self._history) + len(new)
        size = self._history_bytes + sum(event.size for event in new)
        if events <= self._max_events + self._slack and size <= self._max_bytes:
            return 0
        dropped = 0
        while dropped < len(self._history) and (events - dropped > self._max_events or size > self._max_bytes):
            size -= self._history[dropped][1]
            dropped += 1
        return dropped


def _sort_key(item: tuple[StorageKey, bytes]) -> tuple[str, str]:
    return item[0].namespace, item[0].name


def encode_json(obj: JsonObject) -> bytes:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
