import asyncio
from pathlib import Path
from typing import cast

import pytest

from embedded.kubelet import folder_remover
from embedded.kubelet.folder_remover import FolderRemover
from embedded.kubelet.runtime.interface import Runtime
from tests.support.waiting import wait_until_async


class FakeRuntime:
    """Notes what it was asked to take over, and makes it removable."""

    def __init__(self) -> None:
        self.taken_over: list[Path] = []
        self.locked: set[Path] = set()
        self.error: Exception | None = None

    async def take_over(self, folder: Path) -> None:
        self.taken_over.append(folder)
        if self.error is not None:
            raise self.error
        self.locked.discard(folder)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    fake = FakeRuntime()
    remove_tree = folder_remover.remove_tree

    def remove_unlocked(folder: Path) -> None:
        if folder not in fake.locked:
            remove_tree(folder)

    monkeypatch.setattr(folder_remover, "remove_tree", remove_unlocked)
    return fake


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("a", "b", "c")]
    for folder in made:
        (folder / "nested").mkdir(parents=True)
        (folder / "nested" / "file").write_text("x")
    return made


def remover(runtime: FakeRuntime) -> FolderRemover:
    return FolderRemover(cast(Runtime, runtime))


async def test_added_folders_are_removed_in_the_background(runtime: FakeRuntime, folders: list[Path]) -> None:
    removing = remover(runtime)
    task = asyncio.create_task(removing.run())
    try:
        for folder in folders:
            removing.add(folder, folder / "missing")
            await wait_until_async(lambda folder=folder: not folder.exists(), what=f"the removal of {folder}")
    finally:
        task.cancel()
    assert runtime.taken_over == []


async def test_flush_removes_what_was_added(runtime: FakeRuntime, folders: list[Path]) -> None:
    removing = remover(runtime)
    removing.add(*folders)
    await removing.flush()
    assert not any(folder.exists() for folder in folders)
    await removing.flush()


async def test_files_of_another_user_are_taken_over_first(runtime: FakeRuntime, folders: list[Path]) -> None:
    runtime.locked = {folders[1]}
    removing = remover(runtime)
    removing.add(*folders)
    await removing.flush()
    assert runtime.taken_over == [folders[1]]
    assert not any(folder.exists() for folder in folders)


async def test_a_folder_that_can_not_be_removed_is_logged(
    runtime: FakeRuntime, folders: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    runtime.locked, runtime.error = {folders[0]}, OSError("no engine")
    removing = remover(runtime)
    removing.add(*folders)
    await removing.flush()
    assert [folder.exists() for folder in folders] == [True, False, False]
    assert str(folders[0]) in caplog.text
