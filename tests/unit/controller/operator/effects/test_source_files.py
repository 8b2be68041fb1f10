"""The files of a source, read from the store, and the digests of the inputs of steps."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.operator.effects import source_files
from controller.operator.effects.source_files import ListedSources, SourceFiles, UnknownFilesError, digest_inputs
from controller.storage.sources import SourceId, period_at

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FILES = {"a.py": "file 1", "docs/x.md": "file 2", ".c8s.yaml": "file 3"}


class FakeStore:
    """One stored source, and how often it was read."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.reads = 0

    async def get(self, resource: Any, name: str, namespace: str = "") -> Any:
        return {"metadata": {"name": name, "uid": "uid-of-team"}}

    async def head(self, key: str) -> Any:
        wanted = SourceId("team", "uid-of-team", "a" * 64).key(period_at(NOW))
        if self.content is None or key != wanted:
            return None
        return type("Info", (), {"key": key, "size": len(self.content), "modified": NOW})()

    async def list(self, prefix: str) -> AsyncIterator[Any]:
        for each in ():
            yield each

    async def read(self, key: str) -> AsyncIterator[bytes]:
        self.reads += 1
        assert self.content is not None
        yield self.content


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def files_of(store: FakeStore) -> SourceFiles:
    return SourceFiles(store, store, lambda: NOW, ListedSources(3))  # type: ignore[arg-type]


async def test_files_are_read_once() -> None:
    store = FakeStore(archive(a=b"1", b=b"2"))
    files = files_of(store)
    found = await files.load("team", "sha256:" + "a" * 64)
    assert sorted(found) == ["a", "b"]
    assert await files.load("team", "sha256:" + "a" * 64) == found
    assert store.reads == 1


@pytest.mark.parametrize(("content", "words"), [(None, "no longer stored"), (b"no archive", "not gzip")])
async def test_unreadable_source_is_explained(content: bytes | None, words: str) -> None:
    with pytest.raises(UnknownFilesError, match=words):
        await files_of(FakeStore(content)).load("team", "sha256:" + "a" * 64)


def test_digest_is_of_the_selected_files() -> None:
    globs = {"a": ["*.py"], "b": ["docs"], "c": ["*.py"]}
    before = digest_inputs(FILES, globs, None)
    after = digest_inputs({**FILES, "docs/x.md": "file 9"}, globs, None)
    assert before["a"] == after["a"] == before["c"]
    assert before["b"] != after["b"]


def test_pipeline_file_counts_where_it_is_named() -> None:
    globs = {"all": ["**"], "lint": [".c8s.yaml"]}
    before = digest_inputs(FILES, globs, ".c8s.yaml")
    after = digest_inputs({**FILES, ".c8s.yaml": "file 9"}, globs, ".c8s.yaml")
    assert {name for name in globs if before[name] != after[name]} == {"lint"}


def test_files_asked_for_longest_ago_are_forgotten() -> None:
    listed = ListedSources(max_files=4)
    for digest in "abc":
        listed.put(digest, {"x": "1", "y": "1"})
        listed.get("b")
    assert [listed.get(digest) is not None for digest in "abc"] == [False, True, True]


async def test_files_of_another_namespace_are_not_given_away() -> None:
    listed = ListedSources()
    listed.put("a" * 64, {"x": "1"})
    store: Any = FakeStore(None)
    with pytest.raises(UnknownFilesError, match="no longer stored"):
        await SourceFiles(store, store, lambda: NOW, listed).load("team", "sha256:" + "a" * 64)


def test_matching_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "MAX_MATCH_SECONDS", -1.0)
    with pytest.raises(UnknownFilesError, match="takes too long"):
        digest_inputs(FILES, {"a": ["**/*.py"]}, None)
