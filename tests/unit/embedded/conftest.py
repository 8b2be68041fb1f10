"""A registry with a database of its own and a fixed time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embedded.api.scheme import NAMESPACES
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "cluster.db")
    yield opened
    opened.close()


@pytest.fixture
def registry(store: SqliteStore) -> Registry:
    made = Registry(store, clock=lambda: NOW, name_suffix=lambda: "abcde")
    made.create(NAMESPACES, {"metadata": {"name": "default"}})
    return made
