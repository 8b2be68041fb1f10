"""Atomic file writes: the old content or the new one, with the permissions that were asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.files import atomic_file, create_private, write_atomic, write_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_private_file_and_its_folder_are_closed_to_others(tmp_path: Path, umask: None) -> None:
    path = tmp_path / "new" / "token"
    write_private(path, "secret\n")
    assert path.read_text() == "secret\n"
    assert mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700


def test_mode_does_not_depend_on_the_umask(tmp_path: Path, umask: None) -> None:
    path = tmp_path / "shared.txt"
    write_atomic(path, b"x", mode=0o644, durable=True)
    assert mode_of(path) == 0o644


def test_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_file(path, mode=0o600) as file:
        file.writelines([b"half of the n", 1])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_reader_sees_the_old_content_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_file(path, mode=0o600) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_name_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    write_private(path, "x")
    assert path.read_text() == "x"


def test_create_private_leaves_an_existing_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert create_private(path, b"first") is True
    assert mode_of(path) == 0o600
    assert create_private(path, b"second") is False
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
