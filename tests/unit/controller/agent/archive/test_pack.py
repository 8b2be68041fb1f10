"""Artifacts are packed as they are: links wherever they lead, names of any bytes, empty folders."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from controller.agent.archive.pack import pack, relative_target
from controller.agent.archive.unpack import Extractor
from controller.agent.errors import AgentError
from controller.agent.globs import collect


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    (made / "venv" / "bin").mkdir(parents=True)
    (made / "venv" / "lib").mkdir()
    (made / "venv" / "lib" / "code").write_text("code")
    return made


def extracted(root: Path, globs: list[str], target: Path) -> list[dict[str, object]]:
    """The manifest of what matches, which is extracted into a new folder."""
    archive = io.BytesIO()
    packed = pack(str(root), collect(str(root), globs), archive)
    archive.seek(0)
    target.mkdir()
    extractor = Extractor(str(target), any_link=True)
    try:
        extractor.unpack(archive)
    finally:
        extractor.close()
    return packed.files


def test_link_to_an_absolute_path_is_kept(root: Path, tmp_path: Path) -> None:
    (root / "venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    (root / "venv" / "up").symlink_to("../../elsewhere")
    extracted(root, ["venv"], tmp_path / "t")
    assert os.readlink(tmp_path / "t" / "venv" / "bin" / "python") == "/usr/bin/python3"  # noqa: PTH115
    assert os.readlink(tmp_path / "t" / "venv" / "up") == "../../elsewhere"  # noqa: PTH115


def test_absolute_link_into_the_workspace_becomes_relative(root: Path, tmp_path: Path) -> None:
    (root / "venv" / "bin" / "code").symlink_to(root / "venv" / "lib" / "code")
    extracted(root, ["venv"], tmp_path / "t")
    assert os.readlink(tmp_path / "t" / "venv" / "bin" / "code") == "../../venv/lib/code"  # noqa: PTH115
    assert (tmp_path / "t" / "venv" / "bin" / "code").read_text() == "code"


@pytest.mark.parametrize(
    ("path", "target", "relative"),
    [
        ("a", "/w", "."),
        ("a", "/w/b", "b"),
        ("a/b/c", "/w", "../.."),
        ("a/b", "/w//c/", "../c"),
        ("a", "/workspace", "/workspace"),
        ("a", "../w", "../w"),
    ],
)
def test_target_is_relative_within_the_root(path: str, target: str, relative: str) -> None:
    assert relative_target("/w", path, target) == relative


def test_empty_folders_are_kept(root: Path, tmp_path: Path) -> None:
    (root / "venv" / "empty").mkdir(mode=0o750)
    manifest = extracted(root, ["venv"], tmp_path / "t")
    assert (tmp_path / "t" / "venv" / "empty").is_dir()
    assert [file["path"] for file in manifest] == ["venv/lib/code"]


def test_name_that_is_not_utf8_is_kept(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9")
    (root / name).write_text("x")
    manifest = extracted(root, ["caf*"], tmp_path / "t")
    assert (tmp_path / "t" / name).read_text() == "x"
    assert [file["path"] for file in manifest] == ["caf\ufffd"]
    assert "is not UTF-8" in capsys.readouterr().out


def test_archive_is_a_plain_tar(root: Path) -> None:
    archive = io.BytesIO()
    (root / "empty").mkdir()
    pack(str(root), ["venv/lib/code", "empty/"], archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        assert [(member.name, member.isdir()) for member in tar] == [("venv/lib/code", False), ("empty", True)]


def test_file_larger_than_the_limit_is_refused_before_it_is_read(root: Path) -> None:
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    archive = io.BytesIO()
    with pytest.raises(AgentError, match="up to sparse, the files have more than 16 GiB together"):
        pack(str(root), ["sparse"], archive)
    assert len(archive.getvalue()) < 1024


def test_limit_counts_all_files_together(root: Path) -> None:
    for name in ("a", "b"):
        (root / name).write_bytes(bytes(600))
    pack(str(root), ["a", "b"], io.BytesIO(), max_bytes=1200)
    with pytest.raises(AgentError, match="up to b, "):
        pack(str(root), ["a", "b"], io.BytesIO(), max_bytes=1199)
