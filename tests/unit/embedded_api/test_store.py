"""Objects are kept under one revision, and the changes since a revision can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedded.storage.store import CompactedError, Event, Key, StorageError, Store


def _key(name: str) -> Key:
    return Key("configmaps", "default", name)


def _obj(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}}


def test_every_write_takes_the_next_revision(store: Store) -> None:
    before = store.revision
    first, second = _obj("a"), _obj("b")
    store.put(_key("a"), first, None)
    store.put(_key("b"), second, None)
    assert [first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]] == [
        str(before + 1),
        str(before + 2),
    ]


def test_what_was_written_is_there_after_a_restart_and_revisions_go_on(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    body = store.put(_key("a"), _obj("a"), None)
    revision = store.revision
    store.close()
    again = Store(tmp_path / "db")
    try:
        assert (again.get(_key("a")), again.revision) == (body, revision)
    finally:
        again.close()


def test_a_restart_forgets_older_changes_and_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.put(_key("a"), _obj("a"), None)
    store.close()
    again = Store(tmp_path / "db")
    try:
        assert again.since(again.revision) == []
        with pytest.raises(CompactedError):
            again.since(again.revision - 1)
    finally:
        again.close()


def test_changes_since_a_revision_come_once_and_in_order(store: Store) -> None:
    store.put(_key("a"), _obj("a"), None)
    start = store.revision
    old = _obj("b")
    store.put(_key("b"), old, None)
    store.put(_key("b"), _obj("b"), old)
    store.delete(_key("b"), _obj("b"))
    assert [(e.type, e.key.name) for e in store.since(start)] == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


def test_a_full_history_drops_the_oldest_changes(tmp_path: Path) -> None:
    store = Store(tmp_path / "db", history_events=3)
    try:
        start = store.revision
        for name in "abcde":
            store.put(_key(name), _obj(name), None)
        assert [event.key.name for event in store.since(start + 2)] == ["c", "d", "e"]
        with pytest.raises(CompactedError) as told:
            store.since(start + 1)
        assert told.value.oldest == start + 2
    finally:
        store.close()


def test_listeners_hear_of_changes_until_they_leave(store: Store) -> None:
    heard: list[Event] = []
    leave = store.subscribe(heard.append)
    store.put(_key("a"), _obj("a"), None)
    leave()
    store.put(_key("b"), _obj("b"), None)
    assert [event.key.name for event in heard] == ["a"]


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with pytest.raises(StorageError, match=r"can't open the database .*/db"):
        Store(tmp_path / "db")
