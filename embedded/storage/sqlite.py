"""Objects in SQLite under one revision counter, with the recent changes beside them.

Every write is one transaction and one revision. The write-ahead log with
`synchronous=NORMAL` keeps what was acknowledged when the process is killed; a
power cut may lose the last moments. The changes are what watches resume from,
also after a restart, and what a list as of an earlier revision is made with;
only so many of them are kept.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from embedded.types import JsonObject

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO revision VALUES (1, 1);
CREATE TABLE IF NOT EXISTS changes (
    revision INTEGER PRIMARY KEY, type TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL,
    name TEXT NOT NULL, body BLOB NOT NULL, previous BLOB
);
"""
# The last change is never dropped, and so it tells the revision; the table of its own is for databases without any.
_REVISION = "SELECT max(value, ifnull((SELECT max(revision) FROM changes), 0)) FROM revision"
_CHANGE = "SELECT revision, type, resource, namespace, name, body, previous FROM changes WHERE revision > ?"


class StorageError(Exception):
    """The database can't be opened or written: the message names the file."""


@dataclass(frozen=True, slots=True)
class StorageKey:
    """Where an object is: `resource` is `plural.group` (or `plural`), `namespace` is empty for cluster scope."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class StoreEvent:
    """One change.

    Attributes:
        body: the object's JSON after it, or for DELETED as it was last.
        previous_body: the object's JSON before it; None for ADDED.
    """

    revision: int
    type: EventType
    key: StorageKey
    body: bytes
    previous_body: bytes | None

    @cached_property
    def object(self) -> JsonObject:
        """`body`, decoded once for all who look. Not to be changed."""
        found: JsonObject = json.loads(self.body)
        return found

    @cached_property
    def previous(self) -> JsonObject | None:
        """`previous_body`, decoded. Not to be changed."""
        found: JsonObject | None = json.loads(self.previous_body) if self.previous_body is not None else None
        return found

    @property
    def size(self) -> int:
        return len(self.body) + len(self.previous_body or b"")


class CompactedError(Exception):
    """The events from that revision on are no longer kept; `oldest` is the first that can be asked for."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest revision kept is {oldest}")
        self.oldest = oldest


class SqliteStore:
    """The objects of a cluster. Not thread-safe: one event loop uses it.

    Args:
        path: the database file.
        history_events: changes kept for watches that resume.
        history_bytes: and at most so many bytes of them.
    """

    def __init__(self, path: Path, *, history_events: int = 20_000, history_bytes: int = 16 << 20) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            # Pages are written twice, to the objects and to the changes: copy them over less often.
            self._db.execute("PRAGMA wal_autocheckpoint=4000")
            self._db.executescript(_SCHEMA)
            self._revision: int = self._db.execute(_REVISION).fetchone()[0]
            sizes = self._db.execute("SELECT revision, length(body) + ifnull(length(previous), 0) FROM changes")
            self._history: deque[tuple[int, int]] = deque(sorted(sizes.fetchall()))
        except sqlite3.Error as error:
            raise StorageError(f"can't open the database {path}: {error}") from error
        self._path = path
        self._history_bytes = sum(size for _, size in self._history)
        self._max_events, self._max_bytes = history_events, history_bytes
        # Dropped some at a time, so that not every write of a full history also deletes.
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
        """Call `listener` with each change from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, key: StorageKey) -> bytes | None:
        row = self._db.execute(
            "SELECT body FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (key.resource, key.namespace, key.name),
        ).fetchone()
        return row[0] if row else None

    def scan(
        self, resource: str, namespace: str | None = None, after: tuple[str, str] = ("", "")
    ) -> Iterator[tuple[StorageKey, bytes]]:
        """The objects of a resource by namespace and name, from just behind `after` = (namespace, name)."""
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
        """The resources of which the namespace has objects."""
        rows = self._db.execute("SELECT DISTINCT resource FROM objects WHERE namespace = ?", (namespace,))
        return [row[0] for row in rows]

    def count(self, resource: str, namespace: str) -> int:
        """How many objects of a resource a namespace has."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM objects WHERE resource = ? AND namespace = ?", (resource, namespace)
        ).fetchone()
        return int(row[0])

    def put(self, key: StorageKey, obj: JsonObject, previous: JsonObject | None) -> bytes:
        """Write the object; sets its new resourceVersion and returns it as stored."""
        revision = self._revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        body = encode_json(obj)
        kind: EventType = "MODIFIED" if previous else "ADDED"
        self._write(
            StoreEvent(revision, kind, key, body, encode_json(previous) if previous else None),
            "INSERT OR REPLACE INTO objects (resource, namespace, name, body) VALUES (?, ?, ?, ?)",
            (key.resource, key.namespace, key.name, body),
        )
        return body

    def delete(self, key: StorageKey, last: JsonObject) -> JsonObject:
        """Remove the object; returns its last state with the revision of the removal."""
        revision = self._revision + 1
        gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(revision)}}
        self._write(
            StoreEvent(revision, "DELETED", key, encode_json(gone), encode_json(last)),
            "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (key.resource, key.namespace, key.name),
        )
        return gone

    def require_retained(self, revision: int) -> None:
        """Raises:
        CompactedError: some changes after the revision are no longer kept.
        """
        if revision < self._oldest:
            raise CompactedError(self._oldest)

    def events_since(self, revision: int, resource: str | None = None) -> list[StoreEvent]:
        """The changes after `revision`, oldest first: of one resource, or of all.

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
        """As `scan`, with the objects as they were at an earlier revision.

        Raises:
            CompactedError: that is no longer known.
        """
        # The first change after the revision tells what there was before it.
        then: dict[StorageKey, bytes | None] = {}
        for event in self.events_since(revision, resource) if revision < self._revision else ():
            if namespace in (None, event.key.namespace) and (event.key.namespace, event.key.name) > after:
                then.setdefault(event.key, event.previous_body)
        now = (item for item in self.scan(resource, namespace, after) if item[0] not in then)
        before = sorted(((key, body) for key, body in then.items() if body is not None), key=_sort_key)
        return heapq.merge(now, before, key=_sort_key)

    def _write(self, event: StoreEvent, statement: str, values: tuple[Any, ...]) -> None:
        key, dropped = event.key, self._count_expired(event)
        row = (event.revision, event.type, key.resource, key.namespace, key.name, event.body, event.previous_body)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(statement, values)
            self._db.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            if dropped:
                self._db.execute("DELETE FROM changes WHERE revision <= ?", (self._history[dropped - 1][0],))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StorageError(f"can't write to the database {self._path}: {error}") from error
        self._revision = event.revision
        for _ in range(dropped):
            self._oldest, size = self._history.popleft()
            self._history_bytes -= size
        self._history.append((event.revision, event.size))
        self._history_bytes += event.size
        for listener in tuple(self._listeners):
            listener(event)

    def _count_expired(self, event: StoreEvent) -> int:
        """How many of the oldest changes have to go for this one."""
        events, size = len(self._history) + 1, self._history_bytes + event.size
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
