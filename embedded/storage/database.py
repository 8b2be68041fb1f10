"""Opens the database of a cluster, and refuses one that this version can't read.

The version of the tables is in `PRAGMA user_version`. A database of another version, or a damaged one, is never
changed: its owner decides what happens to it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA_VERSION = 1
"""The version of the tables. Databases from before it was recorded have 0 and the same tables."""

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
_COLUMNS = {
    "objects": ("resource", "namespace", "name", "body"),
    "revision": ("only_row", "value"),
    "changes": ("revision", "type", "resource", "namespace", "name", "body", "previous"),
}
_QUICK_CHECK_BYTES = 32 << 20
"""Up to this size, which takes less than 0.1 s, a database is checked at each start; a larger one after crashes."""


class StorageError(Exception):
    """The database cannot be opened or written. The message names the file."""


class UnreadableDatabaseError(StorageError):
    """The database is damaged, or of another version: trying again does not help."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database, and create its tables if it is new.

    Raises:
        UnreadableDatabaseError: it is damaged, or of another version; it is left as it is.
        StorageError: it cannot be opened or written now.
    """
    crashed = _size(path.with_name(path.name + "-wal")) > 0
    try:
        database = sqlite3.connect(path, isolation_level=None)
        try:
            _check_version(database, path)
            if crashed or _size(path) <= _QUICK_CHECK_BYTES:
                _check_pages(database, path)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            # Each write changes two tables: checkpoint less often than by default.
            database.execute("PRAGMA wal_autocheckpoint=4000")
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except BaseException:
            database.close()
            raise
    except sqlite3.OperationalError as error:
        raise StorageError(f"cannot open the database {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error
    return database


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise UnreadableDatabaseError(
            f"the database {path} has version {version} of the schema, and this program reads up to "
            f"{SCHEMA_VERSION}: use the program that wrote it, or start with another folder"
        )
    for table, columns in _COLUMNS.items():
        found = tuple(row[1] for row in database.execute(f"PRAGMA table_info({table})"))
        if found not in ((), columns):
            raise UnreadableDatabaseError(
                f"the database {path} was written by another program: its table {table} has the columns "
                f"{', '.join(found)}. Use the program that wrote it, or start with another folder"
            )


def _check_pages(database: sqlite3.Connection, path: Path) -> None:
    found: str = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _damaged(path, found.replace("\n", " "))


def _damaged(path: Path, reason: str) -> UnreadableDatabaseError:
    return UnreadableDatabaseError(
        f"the database {path} is damaged ({reason}): restore it from a copy, or start with another folder"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
