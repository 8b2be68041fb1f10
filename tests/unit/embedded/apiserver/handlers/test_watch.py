"""Lists and watches show each matching object and change once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.scheme import CONFIG_MAPS, NAMESPACES, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.apiserver.handlers.list import join_chunks, list_chunks
from embedded.apiserver.handlers.watch import parse_watch
from embedded.registry.registry import Registry


def _make(registry: Registry, name: str, namespace: str = "default", **labels: str) -> None:
    registry.create(CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}}, namespace=namespace)


def _list(registry: Registry, namespace: str | None = "default", accept: str = "", **query: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(list_chunks(registry, CONFIG_MAPS, namespace, query, accept)))
    return found


def _names(found: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


def _lines(registry: Registry, namespace: str | None = "default", **query: str) -> AsyncIterator[bytes]:
    return parse_watch(registry, CONFIG_MAPS, namespace, query, "").lines()


async def _next_events(lines: AsyncIterator[bytes]) -> list[tuple[str, str]]:
    chunk = await anext(lines)
    events = [json.loads(line) for line in chunk.splitlines()]
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


def test_pages_contain_every_object_once(registry: Registry) -> None:
    registry.create(NAMESPACES, {"metadata": {"name": "other"}})
    for number in range(5):
        _make(registry, f"c{number}", "other" if number % 2 else "default")
    names: list[str] = []
    token = ""
    while True:
        page = _list(registry, None, limit="2", **({"continue": token} if token else {}))
        names += _names(page)
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert sorted(names) == ["c0", "c1", "c2", "c3", "c4"]


def test_all_pages_carry_the_revision_of_the_first(registry: Registry) -> None:
    for name in "abc":
        _make(registry, name)
    first = _list(registry, limit="2")
    _make(registry, "later")
    second = _list(registry, limit="2", **{"continue": first["metadata"]["continue"]})
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@pytest.mark.parametrize("token", ["nonsense", "bm9uc2Vuc2U=", "W10=", "é"])
def test_an_invalid_continue_token_is_a_bad_request(registry: Registry, token: str) -> None:
    with pytest.raises(ApiError) as raised:
        _list(registry, **{"continue": token})
    assert raised.value.code == 400


@given(st.lists(st.binary(max_size=5), max_size=10), st.integers(1, 12))
def test_joined_chunks_have_the_minimum_size(chunks: list[bytes], size: int) -> None:
    found = list(join_chunks(list(chunks), size))
    assert b"".join(found) == b"".join(chunks)
    assert all(len(piece) >= size for piece in found[:-1])


def test_a_table_has_a_row_per_object(registry: Registry) -> None:
    _make(registry, "a")
    found = _list(registry, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [column["name"] for column in found["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"] for row in found["rows"]] == [["a", 0, "0s"]]


async def test_a_watch_resumes_from_the_revision_of_a_list(registry: Registry) -> None:
    _make(registry, "before")
    version = _list(registry)["metadata"]["resourceVersion"]
    _make(registry, "after")
    lines = _lines(registry, resourceVersion=version)
    assert await _next_events(lines) == [("ADDED", "after")]
    registry.delete(ObjectRef(CONFIG_MAPS, "default", "before"))
    assert await _next_events(lines) == [("DELETED", "before")]


async def test_a_watch_without_a_version_begins_with_existing_objects(registry: Registry) -> None:
    _make(registry, "existing")
    lines = _lines(registry)
    assert await _next_events(lines) == [("ADDED", "existing")]
    _make(registry, "later")
    assert await _next_events(lines) == [("ADDED", "later")]


async def test_leaving_the_selector_is_a_deleted_event(registry: Registry) -> None:
    lines = _lines(registry, labelSelector="w", resourceVersion=str(registry.store.revision))
    _make(registry, "a", w="1")
    _make(registry, "unseen")
    for label in (None, "2", "3"):
        registry.patch(ObjectRef(CONFIG_MAPS, "default", "a"), {"metadata": {"labels": {"w": label}}})
    assert await _next_events(lines) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("MODIFIED", "a")]


async def test_a_watch_is_limited_to_its_namespace(registry: Registry) -> None:
    registry.create(NAMESPACES, {"metadata": {"name": "other"}})
    lines = _lines(registry, resourceVersion=str(registry.store.revision))
    _make(registry, "existing", "other")
    _make(registry, "here")
    assert await _next_events(lines) == [("ADDED", "here")]


async def test_a_bookmark_carries_the_last_revision(registry: Registry) -> None:
    start = str(registry.store.revision)
    registry.create(NAMESPACES, {"metadata": {"name": "other"}})
    lines = _lines(registry, resourceVersion=start, allowWatchBookmarks="true", timeoutSeconds="1")
    event = json.loads(await anext(lines))
    assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == (
        "BOOKMARK",
        str(registry.store.revision),
    )
    assert await anext(lines, b"") == b""


@pytest.mark.parametrize("version", ["1", "999999"])
async def test_a_watch_that_cannot_be_resumed_ends_with_an_error(registry: Registry, version: str) -> None:
    registry.store._oldest = 2  # as after a compaction
    lines = _lines(registry, resourceVersion=version)
    event = json.loads(await anext(lines))
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert await anext(lines, b"") == b""


def test_a_watch_from_an_invalid_revision_is_an_error(registry: Registry) -> None:
    with pytest.raises(ApiError) as raised:
        _lines(registry, resourceVersion="nonsense")
    assert raised.value.code == 500


async def test_list_items_have_no_kind_but_events_have_one(registry: Registry) -> None:
    _make(registry, "a")
    registry.update(
        ObjectRef(CONFIG_MAPS, "default", "a"),
        {**registry.get(ObjectRef(CONFIG_MAPS, "default", "a")), "data": {"k": "v"}},
    )
    found = _list(registry)
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert [sorted(item) for item in found["items"]] == [["data", "metadata"]]
    assert list(registry.get(ObjectRef(CONFIG_MAPS, "default", "a")))[:2] == ["kind", "apiVersion"]
    chunk = await anext(_lines(registry))
    assert json.loads(chunk.splitlines()[0])["object"]["kind"] == "ConfigMap"
