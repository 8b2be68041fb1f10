"""A database that this version can't read is refused with the reason, and is left as it is."""

# ruff: noqa: E501 - a row for each case is read more easily than a wrapped one

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded.storage.database import SCHEMA_VERSION, StorageError, UnreadableDatabaseError
from embedded.storage.sqlite import SqliteStore, StorageKey

KEY = StorageKey("configmaps", "default", "a")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with enough objects to fill many pages."""
    path = tmp_path / "cluster.db"
    store = SqliteStore(path)
    for number in range(50):
        store.put(StorageKey("configmaps", "default", f"a{number}"), {"metadata": {}, "data": {"x": "y" * 4000}}, None)
    store.put(KEY, {"metadata": {"name": "a"}}, None)
    store.close()
    return path


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def overwrite_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 4096 * 8)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: change(path, "PRAGMA user_version=99"), "has version 99 of the schema, and this program reads up to 1"),
        (lambda path: change(path, "ALTER TABLE changes RENAME COLUMN previous TO before"), "was written by another program: its table changes"),
        (overwrite_pages, "is damaged"),
        (lambda path: path.write_bytes(b"\xa5" * 8192), "is damaged"),
    ],
    ids=["newer version", "other columns", "torn pages", "no database"],
)  # fmt: skip
def test_unreadable_database_is_refused_and_kept(database: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(database)
    before = database.read_bytes()
    with pytest.raises(UnreadableDatabaseError, match=f"the database {database} {message}"):
        SqliteStore(database)
    assert database.read_bytes() == before


def test_database_from_before_versions_were_recorded_is_adopted(database: Path) -> None:
    change(database, "PRAGMA user_version=0")
    store = SqliteStore(database)
    assert store.get(KEY) is not None
    store.close()
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_database_of_a_killed_process_is_read(database: Path, tmp_path: Path) -> None:
    store = SqliteStore(database)
    store.put(KEY, {"metadata": {"name": "a"}, "data": {}}, None)
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in database.parent.glob("cluster.db*"):
        shutil.copy(file, killed)
    store.close()
    reopened = SqliteStore(killed / "cluster.db")
    assert b'"data"' in (reopened.get(KEY) or b"")
    reopened.close()


def test_database_that_cannot_be_opened_now_may_be_readable_later(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open the database") as caught:
        SqliteStore(tmp_path / "missing" / "cluster.db")
    assert not isinstance(caught.value, UnreadableDatabaseError)
