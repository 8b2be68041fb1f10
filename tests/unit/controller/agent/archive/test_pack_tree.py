"""A saved workspace is restored as it was, whatever is in it."""

import io
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.agent.archive.pack_tree import TreeArchiver
from controller.agent.archive.unpack import Extractor
from controller.agent.errors import AgentError

NO_LIMIT = 10**9


def packed(root: Path, limit: int = NO_LIMIT, **limits: int) -> tuple[TreeArchiver, bytes]:
    tree, into = TreeArchiver(str(root), limit, **limits), io.BytesIO()
    tree.pack(into)
    return tree, into.getvalue()


def unpacked(archive: bytes, root: Path, *, any_link: bool = True) -> Path:
    root.mkdir()
    extractor = Extractor(str(root), any_link=any_link)
    try:
        extractor.unpack(io.BytesIO(archive))
    finally:
        extractor.close()
    return root


def snapshot(root: Path) -> dict[bytes, tuple[int, bytes]]:
    """Every path with its mode and what it holds or leads to."""
    found = {}
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        held = os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else b""
        if stat.S_ISREG(mode):
            held = path.read_bytes()
        found[os.fsencode(path.relative_to(root))] = (mode, held)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    (made / "sub" / "deep").mkdir(parents=True)
    (made / "sub" / "a.sh").write_text("echo hi")
    (made / "sub" / "a.sh").chmod(0o751)
    (made / "empty").mkdir(mode=0o755)
    return made


def test_files_empty_folders_modes_and_times_are_restored(root: Path, tmp_path: Path) -> None:
    os.utime(root / "sub" / "a.sh", (1_700_000_000, 1_700_000_000))
    (root / ("x" * 200)).write_bytes(bytes(range(256)) * 3)
    tree, archive = packed(root)
    back = unpacked(archive, tmp_path / "back")
    assert snapshot(back) == snapshot(root)
    assert (back / "sub" / "a.sh").stat().st_mtime == 1_700_000_000
    assert (tree.files, tree.skipped, tree.size) == (2, 0, len(archive))


def test_names_that_are_not_unicode_are_restored(root: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\n\x1b[2J")).write_text("x")
    assert snapshot(unpacked(packed(root)[1], tmp_path / "back")) == snapshot(root)


def test_links_lead_anywhere_and_are_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, target in {
        "python": "/usr/bin/python3",
        "up": "../..",
        "dangling": "nowhere",
        "out": str(outside),
    }.items():
        (root / name).symlink_to(target)
    archive = packed(root)[1]
    assert snapshot(unpacked(archive, tmp_path / "back")) == snapshot(root)
    with pytest.raises(AgentError, match="it is refused"):
        unpacked(archive, tmp_path / "strict", any_link=False)
    assert list(outside.iterdir()) == []


def test_absolute_links_into_the_workspace_are_made_relative(root: Path, tmp_path: Path) -> None:
    (root / "sub" / "deep" / "here").symlink_to(root / "sub" / "a.sh")
    (root / "all").symlink_to(root)
    back = unpacked(packed(root)[1], tmp_path / "back")
    assert (back / "sub" / "deep" / "here").resolve() == back / "sub" / "a.sh"
    assert (back / "all").resolve() == back


def test_special_files_are_skipped_and_reported(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(7):
        os.mkfifo(root / f"pipe-{number}")
    tree, archive = packed(root)
    assert tree.skipped == 7
    assert "skipped pipe-0" in (output := capsys.readouterr().out)
    assert len(output.splitlines()) == 5, "the number of lines is limited"
    assert "empty" in {path.name for path in unpacked(archive, tmp_path / "back").iterdir()}


def test_file_truncated_while_packing_is_padded_with_zeros(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "log").write_bytes(b"x" * 1000)
    real = os.fstat

    def larger(file: int) -> os.stat_result:
        found = list(real(file))
        found[stat.ST_SIZE] += 700_000 if found[stat.ST_SIZE] == 1000 else 0
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", larger)
    archive = packed(root)[1]
    monkeypatch.undo()
    back = unpacked(archive, tmp_path / "back")
    assert (back / "log").read_bytes() == b"x" * 1000 + bytes(700_000)
    assert (back / "sub" / "a.sh").read_text() == "echo hi"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"limit": 1000}, "packed"),
        ({"max_bytes": 5000}, "together"),
        ({"max_entries": 3}, "more than 3 files and folders"),
    ],
)
def test_limits_are_enforced(root: Path, limits: dict[str, int], message: str) -> None:
    (root / "noise").write_bytes(os.urandom(6000))
    with pytest.raises(AgentError, match=message):
        packed(root, **limits)


_NAME = st.binary(min_size=1, max_size=120).filter(
    lambda name: name not in (b".", b"..") and not set(name) & set(b"/\0")
)


@given(st.dictionaries(_NAME, st.binary(max_size=2000) | st.none(), max_size=8))
def test_any_names_and_contents_are_restored(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[bytes, bytes | None]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    root = folder / "workspace"
    root.mkdir()
    for name, held in entries.items():
        path = root / os.fsdecode(name)
        if held is None:
            path.mkdir()
        else:
            path.write_bytes(held)
    assert snapshot(unpacked(packed(root)[1], folder / "back")) == snapshot(root)
