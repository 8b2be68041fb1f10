"""The size of objects in etcd: custom resources as JSON, Secrets and ConfigMaps without JSON's escapes and base64."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from embedded.storage.object_size import MAX_OBJECT_BYTES, etcd_size
from embedded.storage.sqlite import ObjectTooLargeError, SqliteStore, StorageKey, encode_json


def size(resource: str, obj: dict[str, Any]) -> int:
    return etcd_size(resource, obj, encode_json(obj))


def test_a_custom_resource_counts_as_its_json() -> None:
    obj = {"metadata": {"name": "x"}, "spec": {"text": "\n" * 800_000}}
    assert size("pipelineruns.c8s.dev", obj) == len(encode_json(obj)) > MAX_OBJECT_BYTES


def test_a_config_map_of_a_mebibyte_of_newlines_fits() -> None:
    obj = {"metadata": {"name": "x"}, "data": {"text": "\n" * 1_048_576}}
    assert len(encode_json(obj)) > MAX_OBJECT_BYTES > size("configmaps", obj)


def test_binary_data_counts_without_base64() -> None:
    data = base64.b64encode(bytes(1_500_000)).decode()
    assert 1_490_000 < size("secrets", {"metadata": {"name": "x"}, "data": {"key": data}}) < 1_510_000


def test_an_object_that_is_too_large_changes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db")
    key = StorageKey("pipelineruns.c8s.dev", "default", "x")
    store.put(key, {"metadata": {"name": "x"}}, None)
    before = store.revision
    with pytest.raises(ObjectTooLargeError, match="at most 1572864"):
        store.put(key, {"metadata": {"name": "x"}, "status": "s" * MAX_OBJECT_BYTES}, {"metadata": {"name": "x"}})
    assert store.revision == before
    assert store.get(key) is not None
    store.close()
