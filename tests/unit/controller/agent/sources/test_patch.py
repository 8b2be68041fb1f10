"""A tree that was made from another one is that of a fresh unpacking, or is not made."""

import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.agent.archive.tar_stream import BLOCK
from controller.agent.archive.unpack import Extractor
from controller.agent.errors import AgentError
from controller.agent.sources.patch import Patch, find_patch
from controller.agent.sources.tree_index import TreeIndex, index_archive, load_index
from tests.unit.controller.agent.sources.archives import (
    Entry,
    archive,
    encoded,
    file,
    folder,
    link,
    members,
    snapshot,
)

LIMIT = 10**6
MANY = [file(f"many/{number}", str(number).encode()) for number in range(20)]
"""Files that don't change."""


def unpacked(data: bytes, tree: Path) -> dict[str, tuple[object, ...]]:
    tree.mkdir()
    extractor = Extractor(str(tree), LIMIT, skip_git=True)
    try:
        extractor.unpack(io.BytesIO(data))
    finally:
        extractor.close()
    return snapshot(tree)


def indexed(data: bytes) -> TreeIndex:
    with tempfile.TemporaryFile() as stored:
        stored.write(data)
        stored.flush()
        return index_archive(stored.fileno(), len(data), LIMIT)[0]


def patched(old: bytes, new: bytes, root: Path, *, shared: bool = False) -> tuple[Patch | None, dict[str, object]]:
    """The patch, and what the tree of `old` became; an empty one if there is no patch."""
    unpacked(old, root / "tree")
    known = load_index(indexed(old).dump())
    with tempfile.TemporaryFile() as stored:
        stored.write(new)
        stored.flush()
        patch = find_patch(known, stored.fileno(), len(new), LIMIT)
        if patch is None:
            return None, {}
        patch.apply(str(root / "tree"), stored.fileno(), LIMIT, shared=shared)
    assert patch.index.entries == indexed(new).entries
    return patch, dict(snapshot(root / "tree"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([file("a")], [file("a", b"changed")]),
        ([file("a")], [file("a", mode=0o755)]),
        ([file("a"), file("b")], [file("b")]),
        ([file("deep/er/a"), file("b")], [file("b")]),
        ([file("a")], [link("a", "many/1")]),
        ([link("a", "many/1")], [link("a", "many/2")]),
        ([link("a", "many/1")], [file("a")]),
        ([file("a/b"), file("a/c/d")], [file("a")]),
        ([file("a")], [file("a/b")]),
        ([link("a", "many")], [file("a/b")]),
        ([file("a/b")], [link("a", "many")]),
        ([folder("empty")], []),
        ([], [folder("empty/er", 0o700)]),
        ([folder("a", 0o700)], [folder("a", 0o755)]),
        ([folder("a")], [file("a")]),
        ([file("a")], [folder("a", 0o700)]),
        ([file("a/b")], [folder("a", 0o700), file("a/b")]),
        ([file("\udcff")], [file("\udcff", b"2"), file("new \udcfe")]),
        ([file(".git/config")], [file(".git/config", b"2"), file("x")]),
    ],
)
def test_each_kind_of_change(old: list[Entry], new: list[Entry], tmp_path: Path) -> None:
    before, after = archive([*MANY, *old]), archive([*MANY, *new])
    patch, found = patched(before, after, tmp_path)
    assert patch is not None
    assert found == unpacked(after, tmp_path / "fresh")


PATHS = st.sampled_from(["a", "b", "a/a", "a/b", "b/c/d", "c", "c/d", ".git/x"])
ENTRIES = st.lists(
    st.one_of(
        st.builds(file, PATHS, st.binary(max_size=3), st.sampled_from([0o644, 0o755])),
        st.builds(link, PATHS, st.sampled_from(["a", "many/1"])),
        st.builds(folder, PATHS, st.sampled_from([0o755, 0o700])),
    ),
    max_size=6,
)


@given(old=ENTRIES, new=ENTRIES, groups=st.tuples(st.integers(1, 40), st.integers(1, 40)))
@settings(deadline=None, max_examples=150)
def test_any_two_archives(old: list[Entry], new: list[Entry], groups: tuple[int, int]) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        before, after = archive([*MANY, *old], groups[0]), archive([*MANY, *new], groups[1])
        try:
            patch, found = patched(before, after, root)
        except (AgentError, OSError):
            # It is unpacked then.
            return
        if patch is not None:
            assert found == unpacked(after, root / "fresh")
    finally:
        shutil.rmtree(root)


def test_members_that_are_the_same_are_not_read_again(tmp_path: Path) -> None:
    before, after = archive([*MANY, file("a")]), archive([*MANY[:4], file("new"), *MANY[4:], file("a")])
    patch, found = patched(before, after, tmp_path)
    assert patch is not None
    assert (patch.changed, patch.removed, patch.cost) == ({"new"}, [], 1)
    assert sum(end - start for start, end in patch.ranges) < len(after)
    assert found == unpacked(after, tmp_path / "fresh")


def test_what_is_mostly_different_is_not_made_from_another_one(tmp_path: Path) -> None:
    assert patched(archive(MANY), archive([file(f"many/{n}", b"other") for n in range(20)]), tmp_path)[0] is None


def test_a_folder_without_its_entry_is_not_made_from_one_with_another_mode(tmp_path: Path) -> None:
    before, after = archive([*MANY, folder("a", 0o700), file("a/b")]), archive([*MANY, file("a/b")])
    assert patched(before, after, tmp_path)[0] is None


def test_all_users_may_use_what_is_changed(tmp_path: Path) -> None:
    after = archive([*MANY, file("new/er/a"), file("run", mode=0o755), link("l", "run")])
    patched(archive(MANY), after, tmp_path, shared=True)
    modes = {path: (tmp_path / "tree" / path).stat().st_mode & 0o777 for path in ("new", "new/er", "new/er/a", "run")}
    assert modes == {"new": 0o777, "new/er": 0o777, "new/er/a": 0o666, "run": 0o777}


def cut(entries: Sequence[Entry], at: int) -> bytes:
    """An archive whose second member begins somewhere in an entry."""
    data = b"".join(map(encoded, entries)) + bytes(2 * BLOCK)
    return members([data[:at], data[at:]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive([file("a"), file("a", b"2")]), "several entries of one path"),
        (archive([file("a"), file("a/b")]), "below a file"),
        (archive([link("a", "many"), file("a/b")]), "below a file"),
        (cut([file("a"), file("b")], BLOCK + 1), "two members"),
        (cut([file("a" * 101), file("b")], 2 * BLOCK), "two members"),
        (cut([file("a"), file("b")], BLOCK + 7), "ends too early"),
        (cut([file("a"), file("b")], 100), "ends too early"),
        (archive([file("a")])[:-30], "ends too early"),
        (members([encoded(file("a"))]) + b"no gzip", "not gzip"),
        (archive([file("../a")]), "'..' in its path"),
        (archive([file("a", bytes(2 * 10**6))]), "is too large"),
    ],
    ids=range(11),
)
def test_archives_whose_entries_depend_on_each_other_have_no_index(data: bytes, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        indexed(data)


def test_names_that_the_system_may_not_tell_apart_have_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    for name in ("Many/x", "\u00e9"):
        with pytest.raises(AgentError, match="tell apart"):
            indexed(archive([*MANY, file(name)]))
    assert indexed(archive(MANY)).entries


@pytest.mark.parametrize("data", [b"", b"[", b"{}", b"[1]", b"[[1,2]]", b'[[1,2,"",4,[[1]]]]', bytes(range(200, 250))])
def test_damaged_index_is_an_error_of_its_reader(data: bytes) -> None:
    if data == b"{}":
        assert load_index(data).entries == {}
        return
    with pytest.raises((ValueError, TypeError, AgentError)):
        load_index(data)
