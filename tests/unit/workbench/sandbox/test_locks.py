"""File locks end with their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workbench.sandbox.locks import FileLock


def test_lock_is_exclusive(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert second.held_elsewhere()
    first.release()
    assert not second.held_elsewhere()
    assert second.acquire()
    second.release()


def test_shared_locks_exclude_an_exclusive_one(tmp_path: Path) -> None:
    readers = [FileLock(tmp_path / "lock") for _ in range(3)]
    assert all(lock.acquire(shared=True) for lock in readers)
    alone = FileLock(tmp_path / "lock")
    assert not alone.acquire()
    for lock in readers:
        lock.release()
    assert alone.acquire()
    alone.release()


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time; from pathlib import Path; from workbench.sandbox.locks import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert FileLock(path).held_elsewhere()
        holder.kill()
    assert not FileLock(path).held_elsewhere()


async def test_waiting_for_a_lock_times_out(tmp_path: Path) -> None:
    holder, waiter = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    holder.acquire()
    with pytest.raises(TimeoutError):
        await waiter.wait(0.05)
    holder.release()
    await waiter.wait(1.0)
    waiter.release()
