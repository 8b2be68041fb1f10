"""What a run says of its source's contents counts only if the archive has them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.operator.effects.source_contents import SourceContents
from controller.storage import DirectoryStore
from controller.storage.sources import SourceId, period_at
from tests.unit.controller.operator.effects.archives import Entry, pack_entries

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GENUINE = [Entry("Makefile", b"all:"), Entry(".c8s.yaml", b"steps: []"), Entry("src/a", b"code")]


class FakeCluster:
    async def get(self, resource: Any, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "uid": f"uid-of-{name}"}}


async def find_mismatch(tmp_path: Path, archive: bytes, contents: str, pipeline: str | None = ".c8s.yaml") -> str:
    store = DirectoryStore(tmp_path / "store", b"key", "http://host")
    sha256 = hashlib.sha256(archive).hexdigest()
    await store.put(SourceId("team", "uid-of-team", sha256).key(period_at(NOW)), archive)
    said: Any = {"digest": f"sha256:{sha256}", "contents": contents} | ({"pipelineFile": pipeline} if pipeline else {})
    return await SourceContents(FakeCluster(), store, lambda: NOW).find_mismatch("team", said)  # type: ignore[arg-type]


def contents_of(entries: list[Entry]) -> str:
    """The digest of all entries but the pipeline's own file, by hand."""
    return (
        "sha256:" + hashlib.sha256(b"".join(each.packed() for each in entries if each.name != ".c8s.yaml")).hexdigest()
    )


async def test_contents_are_those_of_all_entries_but_the_pipeline(tmp_path: Path) -> None:
    edited = [GENUINE[0], Entry(".c8s.yaml", b"steps: [{}]"), GENUINE[2]]
    for entries in (GENUINE, edited, GENUINE[::2]):
        assert await find_mismatch(tmp_path, pack_entries(entries), contents_of(GENUINE)) == ""


@pytest.mark.parametrize(
    ("entries", "pipeline"),
    [
        ([Entry("Makefile", b"evil"), *GENUINE[1:]], ".c8s.yaml"),
        ([*GENUINE, Entry("src/b", b"evil")], ".c8s.yaml"),
        ([*GENUINE, Entry(".c8s.yaml", b"evil")], ".c8s.yaml"),
        ([*GENUINE, Entry("./.c8s.yaml", b"evil")], ".c8s.yaml"),
        ([GENUINE[0], Entry(".c8s.yaml", b"", link="src"), GENUINE[2]], ".c8s.yaml"),
        (GENUINE[:2], ".c8s.yaml"),
        (GENUINE, None),
    ],
)
async def test_forged_contents_are_found(tmp_path: Path, entries: list[Entry], pipeline: str | None) -> None:
    found = await find_mismatch(tmp_path, pack_entries(entries), contents_of(GENUINE), pipeline)
    assert found == "the contents of its source are not what it says"


async def test_what_is_no_archive_has_no_contents(tmp_path: Path) -> None:
    found = await find_mismatch(tmp_path, b"no gzip", contents_of(GENUINE))
    assert "can't be checked: the archive is damaged" in found
