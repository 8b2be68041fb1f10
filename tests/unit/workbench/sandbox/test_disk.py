"""A full disk is reported when it becomes full, and when it has space again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from workbench.sandbox.disk import DiskMonitor, FreeSpace, describe_full_disk, free_space, report_full_disk

STATE = Path("/state/c8s")
EMPTY, PLENTY = FreeSpace(0, 1000), FreeSpace(1 << 30, 1000)


@pytest.mark.parametrize(
    ("space", "was_full", "message"),
    [
        (PLENTY, False, None),
        (None, True, None),
        (FreeSpace(1 << 30, None), False, None),
        (EMPTY, False, "the disk that holds /state/c8s is full (0 KiB left): free some space"),
        (FreeSpace(1 << 30, 0), False, "the disk that holds /state/c8s is full (no more files): delete some"),
        (FreeSpace(2 << 20, 1), False, None),
        (FreeSpace(2 << 20, 1), True, "the disk that holds /state/c8s is full (2048 KiB left): free some space"),
    ],
)
def test_full_disk_is_described(space: FreeSpace | None, was_full: bool, message: str | None) -> None:
    assert describe_full_disk(space, STATE, was_full=was_full) == message


def test_space_of_a_folder_that_does_not_exist_is_its_parents(tmp_path: Path) -> None:
    found = free_space(tmp_path / "missing" / "folder")
    assert found is not None
    assert found.bytes > 0


async def test_only_changes_are_reported() -> None:
    spaces = [PLENTY, EMPTY, EMPTY, FreeSpace(2 << 20, 5), PLENTY, PLENTY]
    measured, said = asyncio.Event(), []

    def measure(_: Path) -> FreeSpace:
        if not spaces:
            measured.set()
            return PLENTY
        return spaces.pop(0)

    async with report_full_disk(said.append, DiskMonitor(STATE, measure), interval=0):
        await asyncio.wait_for(measured.wait(), 60)
    assert said == [
        "the disk that holds /state/c8s is full (0 KiB left): free some space",
        "the disk has space again",
    ]
