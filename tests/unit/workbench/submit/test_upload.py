"""Uploads of what is new in an archive, and archives that are put together of what was packed before."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.client.source_delta import ArchivePiece, SourceDelta, find_delta
from workbench.submit import archive as archive_module
from workbench.submit.archive import pack_archive
from workbench.submit.gzip_members import MemberCache
from workbench.submit.upload import SourceUploader
from workbench.submit.worktree import scan


def write_tree(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


MANY = {f"d{number % 7}/f{number}.txt": f"{number}\n" * 50 for number in range(400)}


def age(root: Path) -> None:
    """Make all files old enough for the cache."""
    for path in root.rglob("*"):
        os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)


def applied(stored: bytes, delta: SourceDelta, archive: Path) -> bytes:
    """What the controller makes of a request."""
    request = b"".join(delta.read(archive))
    assert len(request) == delta.size
    head, _, new = request.partition(b"\n")
    found = b""
    for piece in json.loads(head)["pieces"]:
        if "from" in piece:
            found += stored[piece["from"] : piece["from"] + piece["size"]]
        else:
            found, new = found + new[: piece["size"]], new[piece["size"] :]
    assert not new
    return found


class FakeApi:
    """Stores archives, and remembers how many bytes were sent for each."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.sent: list[int] = []

    async def ensure_source(
        self,
        digest: str,
        archive: Path,
        progress: Callable[[int], None] = lambda _: None,
        *,
        delta: SourceDelta | None = None,
    ) -> bool:
        whole = archive.read_bytes()
        if delta is not None:
            assert applied(self.stored[delta.base], delta, archive) == whole
        self.stored[digest] = whole
        self.sent.append(delta.size if delta is not None else len(whole))
        return True


async def test_a_changed_file_costs_about_as_much_as_that_file(tmp_path: Path) -> None:
    write_tree(tmp_path, MANY)
    api, uploader = FakeApi(), SourceUploader()
    for change in ({}, {"d1/f1.txt": "other"}, {"d2/new.txt": "new"}):
        write_tree(tmp_path, change)
        with pack_archive(scan(tmp_path)) as packed:
            await uploader.upload(api, packed)
    (tmp_path / "d3" / "f3.txt").unlink()
    with pack_archive(scan(tmp_path)) as packed:
        await uploader.upload(api, packed)
    assert len(api.sent) == 4
    assert all(sent < api.sent[0] / 5 for sent in api.sent[1:]), api.sent


async def test_later_processes_remember_what_was_uploaded(tmp_path: Path) -> None:
    memory = tmp_path / "memory" / "a.json"
    tree = tmp_path / "tree"
    write_tree(tree, MANY)
    api = FakeApi()
    for change in ({}, {"d1/f1.txt": "other"}):
        write_tree(tree, change)
        with pack_archive(scan(tree)) as packed:
            await SourceUploader(memory).upload(api, packed)
    assert api.sent[1] < api.sent[0] / 5
    memory.write_text("{")
    with pack_archive(scan(tree)) as packed:
        await SourceUploader(memory).upload(api, packed)
    assert api.sent[2] == packed.size, "what can't be read is forgotten"


def test_archive_with_little_in_common_is_sent_whole() -> None:
    pieces = [ArchivePiece("a", 0, 10), ArchivePiece("b", 10, 10)]
    assert find_delta("x", {}, pieces) is None
    assert find_delta("x", {"a": ArchivePiece("a", 5, 10)}, pieces) is None
    found = find_delta("x", {"a": ArchivePiece("a", 5, 10), "b": ArchivePiece("b", 15, 10)}, pieces)
    assert found == SourceDelta("x", ((5, 20, 0),))


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, MANY)
    age(tmp_path)
    monkeypatch.setattr(archive_module, "_CLOCK_TICK", -(10**12))
    cache, added = MemberCache(), list[str]()
    add = archive_module._add
    monkeypatch.setattr(
        archive_module, "_add", lambda gzip, root, entry: added.append(entry.name) or add(gzip, root, entry)
    )
    with pack_archive(scan(tmp_path), cache=cache):
        assert len(added) == len(MANY)
    added.clear()
    (tmp_path / "d1" / "f1.txt").write_text("other")
    with pack_archive(scan(tmp_path), cache=cache) as cached:
        assert 0 < len(added) < len(MANY) / 4
        with pack_archive(scan(tmp_path)) as fresh:
            assert (cached.digest, cached.contents_digest, cached.manifest, cached.files, cached.pieces) == (
                fresh.digest,
                fresh.contents_digest,
                fresh.manifest,
                fresh.files,
                fresh.pieces,
            )


def test_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.txt": "1"})
    cache = MemberCache()
    with pack_archive(scan(tmp_path), cache=cache) as first:
        digest = first.digest
    # As if the clock of the file system had not ticked: the same size and times, another content.
    times = (tmp_path / "a.txt").stat()
    (tmp_path / "a.txt").write_text("2")
    os.utime(tmp_path / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    with pack_archive(scan(tmp_path), cache=cache) as second:
        assert second.digest != digest


@settings(max_examples=30, deadline=None)
@given(
    trees=st.lists(
        st.dictionaries(st.sampled_from([f"{a}/{b}" for a in "abc" for b in "defg"]), st.text(max_size=5), max_size=12),
        min_size=2,
        max_size=4,
    )
)
def test_archives_from_a_cache_equal_fresh_ones(trees: list[dict[str, str]]) -> None:
    cache = MemberCache(max_bytes=3_000)
    for files in trees:
        with tempfile.TemporaryDirectory() as folder:
            write_tree(Path(folder), files)
            with (
                pack_archive(scan(Path(folder)), cache=cache, pipeline="a/d") as cached,
                pack_archive(scan(Path(folder)), pipeline="a/d") as fresh,
            ):
                assert (cached.digest, cached.contents_digest) == (fresh.digest, fresh.contents_digest)
                assert (cached.manifest, cached.files) == (fresh.manifest, fresh.files)
