"""The names of the files that runs were made from are remembered, for a while."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.session import source_manifests
from workbench.session.source_manifests import SourceManifests


def test_files_of_a_run_are_remembered(tmp_path: Path) -> None:
    manifests = SourceManifests(tmp_path / "sources")
    manifests.save("u-1", {"a\udcff.py": "01", "ü": "02"})
    assert manifests.load("u-1") == {"a\udcff.py": "01", "ü": "02"}
    assert manifests.load("u-2") is None


def test_only_their_owner_can_read_them(tmp_path: Path) -> None:
    SourceManifests(tmp_path / "sources").save("u-1", {"a": "01"})
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "sources").rglob("*")} == {0}


def test_uids_are_no_paths(tmp_path: Path) -> None:
    SourceManifests(tmp_path / "sources").save("../../evil", {"a": "01"})
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]


def test_damaged_files_are_ignored(tmp_path: Path) -> None:
    manifests = SourceManifests(tmp_path)
    manifests.save("u-1", {"a": "01"})
    (file,) = tmp_path.iterdir()
    for content in (b"", b"no gzip", file.read_bytes()[:-9], file.read_bytes()[:12] + b"xxxxxxxx"):
        file.write_bytes(content)
        assert manifests.load("u-1") is None


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    manifests = SourceManifests(tmp_path)
    for at in range(source_manifests._MAX_RUNS):
        manifests.save(f"u-{at}", {"a": "01"})
        os.utime(manifests._file(f"u-{at}"), (at, at))
    manifests.save("new", {"a": "01"})
    assert manifests.load("u-0") is None
    assert manifests.load("u-1") is not None
    assert manifests.load("new") is not None
