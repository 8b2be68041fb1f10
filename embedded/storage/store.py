"""Objects in SQLite under one revision counter, and the recent changes in memory.

Every write is one transaction and one revision. The write-ahead log with
`synchronous=NORMAL` keeps what was acknowledged when the process is killed; a
power cut may lose the last moments. The event log lives in memory: a watch
from before the last start is answered like one from a compacted revision.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO revision VALUES (1, 1);
"""


class StorageError(Exception):
    """The database can't be opened or written: the message names the file."""


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object is: `resource` is `plural.group` (or `plural`), `namespace` is empty for cluster scope."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Event:
    """One change.

    Attributes:
        body: the object's JSON after it, or for DELETED as it was last.
        previous_body: the object's JSON before it; None for ADDED.
    """

    revision: int
    type: EventType
    key: Key
    body: bytes
    previous_body: bytes | None

    @cached_property
    def object(self) -> Json:
        """`body`, decoded once for all who look. Not to be changed."""
        found: Json = json.loads(self.body)
        return found

    @cached_property
    def previous(self) -> Json | None:
        """`previous_body`, decoded. Not to be changed."""
        found: Json | None = json.loads(self.previous_body) if self.previous_body is not None else None
        return found

    @property
    def size(self) -> int:
        return len(self.body) + len(self.previous_body or b"")


class CompactedError(Exception):
    """The events from that revision on are no longer kept; `oldest` is the first that can be asked for."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest revision kept is {oldest}")
        self.oldest = oldest


class Store:
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
            self._db.executescript(_SCHEMA)
            self._revision: int = self._db.execute("SELECT value FROM revision").fetchone()[0]
        except sqlite3.Error as error:
            raise StorageError(f"can't open the database {path}: {error}") from error
        self._path = path
        self._history: deque[Event] = deque()
        self._history_bytes = 0
        self._limit_events, self._limit_bytes = history_events, history_bytes
        self._oldest = self._revision
        self._listeners: list[Callable[[Event], None]] = []

    @property
    def revision(self) -> int:
        """The revision of the last change."""
        return self._revision

    def close(self) -> None:
        self._db.close()

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each change from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, key: Key) -> bytes | None:
        row = self._db.execute(
            "SELECT body FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (key.resource, key.namespace, key.name),
        ).fetchone()
        return row[0] if row else None

    def scan(
        self, resource: str, namespace: str | None = None, after: tuple[str, str] = ("", "")
    ) -> Iterator[tuple[Key, bytes]]:
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
            yield Key(resource, found_namespace, name), body

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

    def put(self, key: Key, obj: Json, previous: Json | None) -> bytes:
        """Write the object; sets its new resourceVersion and returns it as stored."""
        revision = self._revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        body = encode(obj)
        self._write(
            revision,
            "INSERT OR REPLACE INTO objects (resource, namespace, name, body) VALUES (?, ?, ?, ?)",
            (key.resource, key.namespace, key.name, body),
        )
        kind: EventType = "MODIFIED" if previous else "ADDED"
        self._record(Event(revision, kind, key, body, encode(previous) if previous else None))
        return body

    def delete(self, key: Key, last: Json) -> Json:
        """Remove the object; returns its last state with the revision of the removal."""
        revision = self._revision + 1
        gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(revision)}}
        self._write(
            revision,
            "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (key.resource, key.namespace, key.name),
        )
        self._record(Event(revision, "DELETED", key, encode(gone), encode(last)))
        return gone

    def since(self, revision: int) -> list[Event]:
        """The changes after `revision`, oldest first.

        Raises:
            CompactedError: some of them are no longer kept.
        """
        if revision < self._oldest:
            raise CompactedError(self._oldest)
        fresh: list[Event] = []
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            fresh.append(replace(event))
        fresh.reverse()
        return fresh

    def _write(self, revision: int, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(statement, values)
            self._db.execute("UPDATE revision SET value = ?", (revision,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StorageError(f"can't write to the database {self._path}: {error}") from error
        self._revision = revision

    def _record(self, event: Event) -> None:
        # A copy, so that what listeners decode is not kept with the history.
        self._history.append(replace(event))
        self._history_bytes += event.size
        while len(self._history) > self._limit_events or self._history_bytes > self._limit_bytes:
            dropped = self._history.popleft()
            self._history_bytes -= dropped.size
            self._oldest = dropped.revision
        for listener in tuple(self._listeners):
            listener(event)


def encode(obj: Json) -> bytes:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
