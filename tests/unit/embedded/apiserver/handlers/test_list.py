"""All pages of a list show one revision; when it is compacted, the error has a token to go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedded.api.scheme import CONFIG_MAPS, NAMESPACES, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.apiserver.handlers.list import list_chunks
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore

Json = dict[str, Any]


def _make(registry: Registry, *names: str) -> None:
    for name in names:
        registry.create(CONFIG_MAPS, {"metadata": {"name": name}}, namespace="default")


def _list(registry: Registry, **query: str) -> tuple[list[str], Json]:
    found = json.loads(b"".join(list_chunks(registry, CONFIG_MAPS, "default", query, "")))
    return [item["metadata"]["name"] for item in found["items"]], found["metadata"]


def test_later_pages_show_the_objects_of_the_first_revision(registry: Registry) -> None:
    _make(registry, "a", "b", "c")
    names, metadata = _list(registry, limit="1")
    assert (names, metadata["remainingItemCount"]) == (["a"], 2)
    registry.delete(ObjectRef(CONFIG_MAPS, "default", "b"))
    _make(registry, "bb")
    registry.patch(ObjectRef(CONFIG_MAPS, "default", "c"), {"data": {"new": "x"}})
    rest, after = _list(registry, **{"continue": metadata["continue"]})
    assert rest == ["b", "c"]
    assert after["resourceVersion"] == metadata["resourceVersion"]


def test_a_list_at_an_exact_revision(registry: Registry) -> None:
    _make(registry, "a")
    revision = str(registry.store.revision)
    _make(registry, "b")
    assert _list(registry, resourceVersion=revision, resourceVersionMatch="Exact")[0] == ["a"]
    assert _list(registry, resourceVersion=revision, resourceVersionMatch="NotOlderThan")[0] == ["a", "b"]


def test_a_future_revision_is_a_timeout(registry: Registry) -> None:
    with pytest.raises(ApiError) as raised:
        _list(registry, resourceVersion="999999")
    assert (raised.value.code, (raised.value.details or {})["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")


def test_a_page_of_a_compacted_revision_gives_a_new_token(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db", history_events=2)
    try:
        registry = Registry(store)
        registry.create(NAMESPACES, {"metadata": {"name": "default"}})
        _make(registry, "a", "b", "c")
        _, metadata = _list(registry, limit="1")
        _make(registry, "d", "e", "f")
        with pytest.raises(ApiError) as raised:
            _list(registry, **{"continue": metadata["continue"]})
        assert (raised.value.code, raised.value.reason) == (410, "Expired")
        token = raised.value.to_status()["metadata"]["continue"]
        assert _list(registry, **{"continue": token})[0] == ["b", "c", "d", "e", "f"]
    finally:
        store.close()
