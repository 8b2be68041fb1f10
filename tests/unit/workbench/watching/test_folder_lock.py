"""The lock of a watch."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from workbench.watching.folder_lock import AlreadyWatchedError, watch_lock


def test_second_watch_of_the_same_is_refused_with_the_process(tmp_path: Path) -> None:
    with watch_lock("a", tmp_path / "locks"):
        with (
            pytest.raises(AlreadyWatchedError, match=f"process {os.getpid()} watches"),
            watch_lock("a", tmp_path / "locks"),
        ):
            pass
        with watch_lock("b", tmp_path / "locks"):
            pass
    with watch_lock("a", tmp_path / "locks"):
        pass


def test_locks_are_private(tmp_path: Path) -> None:
    with watch_lock("a", tmp_path / "locks"):
        [file] = (tmp_path / "locks").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
