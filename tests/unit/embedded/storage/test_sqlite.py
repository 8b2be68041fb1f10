"""Objects are kept under one revision, and the changes since a revision can be asked for."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded.storage.database import StorageError
from embedded.storage.sqlite import CompactedError, SqliteStore, StorageKey, StoreEvent


def _key(name: str) -> StorageKey:
    return StorageKey("configmaps", "default", name)


def _obj(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}}


def test_each_write_takes_the_next_revision(store: SqliteStore) -> None:
    before = store.revision
    first, second = _obj("a"), _obj("b")
    store.put(_key("a"), first, None)
    store.put(_key("b"), second, None)
    assert [first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]] == [
        str(before + 1),
        str(before + 2),
    ]


def test_objects_and_revision_survive_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db")
    body = store.put(_key("a"), _obj("a"), None)
    revision = store.revision
    store.close()
    again = SqliteStore(tmp_path / "db")
    try:
        assert (again.get(_key("a")), again.revision) == (body, revision)
    finally:
        again.close()


def test_changes_survive_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db", history_events=2)
    start = store.revision
    for name in "abc":
        store.put(_key(name), _obj(name), None)
    store.close()
    again = SqliteStore(tmp_path / "db", history_events=2)
    try:
        assert [(e.revision, e.key.name) for e in again.events_since(start + 1)] == [(start + 2, "b"), (start + 3, "c")]
        with pytest.raises(CompactedError):
            again.events_since(start)
        again.put(_key("d"), _obj("d"), None)
        assert [e.key.name for e in again.events_since(start + 2)] == ["c", "d"]
    finally:
        again.close()


# Each example writes to disk: its duration says nothing.
@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=30), st.integers(0, 30))
def test_scan_at_a_revision_sees_the_state_then(steps: list[tuple[str, bool]], back: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "db")
        seen = {store.revision: list[tuple[StorageKey, bytes]]()}
        for name, present in steps:
            old = store.get(_key(name))
            if present:
                store.put(_key(name), _obj(name), json.loads(old) if old else None)
            elif old:
                store.delete(_key(name), json.loads(old))
            seen[store.revision] = list(store.scan("configmaps"))
        revision = max(min(seen), store.revision - back)
        assert list(store.scan_at(revision, "configmaps")) == seen[revision]
        assert list(store.scan_at(revision, "configmaps", "default", ("default", "b"))) == [
            item for item in seen[revision] if item[0].name > "b"
        ]
        store.close()


def test_events_since_a_revision_are_complete_and_ordered(store: SqliteStore) -> None:
    store.put(_key("a"), _obj("a"), None)
    start = store.revision
    old = _obj("b")
    store.put(_key("b"), old, None)
    store.put(_key("b"), _obj("b"), old)
    store.delete(_key("b"), _obj("b"))
    assert [(e.type, e.key.name) for e in store.events_since(start)] == [
        ("ADDED", "b"),
        ("MODIFIED", "b"),
        ("DELETED", "b"),
    ]


def test_full_history_drops_the_oldest_changes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db", history_events=3)
    try:
        start = store.revision
        for name in "abcde":
            store.put(_key(name), _obj(name), None)
        assert [event.key.name for event in store.events_since(start + 2)] == ["c", "d", "e"]
        with pytest.raises(CompactedError) as raised:
            store.events_since(start + 1)
        assert raised.value.oldest == start + 2
    finally:
        store.close()


def test_listeners_get_changes_until_they_unsubscribe(store: SqliteStore) -> None:
    received: list[StoreEvent] = []
    leave = store.subscribe(received.append)
    store.put(_key("a"), _obj("a"), None)
    leave()
    store.put(_key("b"), _obj("b"), None)
    assert [event.key.name for event in received] == ["a"]


def test_open_error_names_the_database(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with pytest.raises(StorageError, match=r"cannot open the database .*/db"):
        SqliteStore(tmp_path / "db")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["write", "read", "delete"])), max_size=30))
def test_what_is_read_and_told_is_what_is_stored(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "db")
        received: list[StoreEvent] = []
        store.subscribe(received.append)
        start = store.revision
        for number, (name, what) in enumerate(steps):
            old = store.get(_key(name))
            if what == "write":
                store.put(_key(name), {**_obj(name), "data": number}, json.loads(old) if old else None)
            elif what == "delete" and old:
                store.delete(_key(name), json.loads(old))
            # As a watcher does with some of the changes, but not with all.
            decoded = [(event.object, event.previous) for event in received[::2]]
            assert decoded == [(json.loads(e.body), json.loads(e.previous_body or b"null")) for e in received[::2]]
        stored = store.events_since(start)
        assert received == stored
        assert [event.previous for event in received] == [event.previous for event in stored]
        assert dict(store.scan("configmaps")) == {k: b for k in map(_key, "abcd") if (b := store.get(k)) is not None}
        store.close()


def test_a_write_that_fails_changes_nothing_that_is_read(store: SqliteStore) -> None:
    body = store.put(_key("a"), _obj("a"), None)
    store._db.execute("CREATE TRIGGER full BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StorageError, match="disk full"):
        store.put(_key("a"), {**_obj("a"), "data": 1}, json.loads(body))
    assert store.get(_key("a")) == body
