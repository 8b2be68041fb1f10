"""Archives of working trees: round trips, and equal bytes for equal trees."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.agent.archive.contents import contents_digest
from controller.agent.archive.unpack import Extractor
from workbench.submit.archive import MTIME, pack_archive
from workbench.submit.worktree import scan

_PART = st.binary(min_size=1, max_size=60).filter(
    lambda part: b"/" not in part and b"\0" not in part and part not in (b".", b"..", b".git")
)
_TREE = st.dictionaries(
    st.lists(_PART, min_size=1, max_size=4).map(b"/".join),
    st.tuples(st.binary(max_size=2000), st.booleans()),
    max_size=12,
)


def _write(root: Path, files: dict[bytes, tuple[bytes, bool]]) -> dict[bytes, tuple[bytes, bool]]:
    written: dict[bytes, tuple[bytes, bool]] = {}
    for name, (content, executable) in files.items():
        path = root / os.fsdecode(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # The name of one is a folder of another.
        path.chmod(0o755 if executable else 0o644)
        written[name] = (content, executable)
    return written


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TREE)
def test_archive_round_trip_with_arbitrary_names(files: dict[bytes, tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = _write(Path(folder), files)
        with pack_archive(scan(Path(folder))) as archive:
            data = archive.path.read_bytes()
            with tarfile.open(archive.path, errors="surrogateescape") as tar:
                found = {}
                for member in tar:
                    content = tar.extractfile(member)
                    assert content is not None
                    found[os.fsencode(member.name)] = (content.read(), bool(member.mode & 0o100))
                    assert (member.uid, member.gid, member.uname, member.mtime) == (0, 0, "", MTIME)
        assert found == written
        assert archive.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert archive.size == len(data)
        assert gzip.decompress(data)


def test_equal_trees_give_equal_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        for file in ("b", "a") if name == "one" else ("a", "b"):
            (root / file).write_text(file)
            os.utime(root / file, (len(name), 1_000_000 + len(digests)))
        with pack_archive(scan(root)) as archive:
            digests.add(archive.digest)
    assert len(digests) == 1


def test_long_names_and_large_files_are_packed(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d" * 200] * 3)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"x")
    (tmp_path / "large").write_bytes(os.urandom(5 * 1024 * 1024 + 1))
    with pack_archive(scan(tmp_path)) as archive, tarfile.open(archive.path) as tar:
        assert sorted(tar.getnames()) == sorted([f"{'d' * 200}/" * 3 + "f", "large"])
        member = tar.extractfile("large")
        assert member is not None
        assert member.read() == (tmp_path / "large").read_bytes()


def test_links_are_packed_as_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    with pack_archive(scan(tmp_path)) as archive, tarfile.open(archive.path) as tar:
        assert tar.getmember("link").issym()
        assert tar.getmember("link").linkname == "file"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TREE, st.dictionaries(_PART, st.binary(min_size=1, max_size=200).filter(lambda t: b"\0" not in t), max_size=4))
def test_agent_unpacks_what_was_packed(files: dict[bytes, tuple[bytes, bool]], links: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as workspace:
        written = _write(Path(folder), files)
        for name, target in links.items():
            with contextlib.suppress(OSError):
                (Path(folder) / os.fsdecode(name)).symlink_to(os.fsdecode(target))
        tree = scan(Path(folder))
        with pack_archive(tree) as archive, archive.path.open("rb") as file:
            unpacking = Extractor(workspace)
            unpacking.unpack(file)
            unpacking.close()
        for name, (content, executable) in written.items():
            arrived = Path(workspace) / os.fsdecode(name)
            assert arrived.read_bytes() == content
            assert bool(arrived.stat().st_mode & 0o100) == executable
        for entry in tree.entries:
            if entry.target is not None:
                assert str((Path(workspace) / entry.name).readlink()) == str(Path(entry.target))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TREE, st.booleans())
def test_controller_computes_the_same_contents(files: dict[bytes, tuple[bytes, bool]], has_pipeline: bool) -> None:
    """Otherwise nothing could be reused after an edit of the pipeline."""
    pipeline = ".c8s.yaml" if has_pipeline else None
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), files)
        with contextlib.suppress(IsADirectoryError):
            (Path(folder) / ".c8s.yaml").write_text("steps: []")
        (Path(folder) / "link").symlink_to(".c8s.yaml")
        with pack_archive(scan(Path(folder)), pipeline=pipeline) as archive:
            tar = io.BytesIO(gzip.decompress(archive.path.read_bytes()))
        assert archive.contents_digest == f"sha256:{contents_digest(tar.read, archive.pipeline_file)}"
