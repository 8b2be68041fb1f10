"""Folders that demos which were killed have left."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from workbench.cli.commands.pipelines.samples import find_sample
from workbench.cli.demo_leftovers import PREFIX, LeftoverSweep, claimed, keep, remove_leftovers

SAMPLE = find_sample("bookshop").path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files; the sandboxes are beside it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


def left(folder: Path) -> Path:
    """Make a folder as a demo does that ends at once."""
    folder.mkdir(parents=True)
    with claimed(folder):
        (folder / "start.lock").touch()
    return folder


def tour_in(temporary: Path, name: str = "one") -> Path:
    folder = left(temporary / f"{PREFIX}{name}")
    shutil.copytree(SAMPLE, folder / SAMPLE.name, ignore=shutil.ignore_patterns("__pycache__"))
    left(folder / "state" / "c8s" / "demo")
    return folder


async def test_what_a_killed_demo_has_left_is_removed(temporary: Path) -> None:
    folder = tour_in(temporary)
    printed = left(temporary.parent / "state" / "c8s" / "demo-0123abcd")
    assert await remove_leftovers(SAMPLE) == []
    assert not folder.exists()
    assert not printed.exists()


async def test_files_that_the_user_has_changed_are_kept(temporary: Path) -> None:
    folder = tour_in(temporary)
    (folder / SAMPLE.name / "mine.py").write_text("print()\n")
    [note] = await remove_leftovers(SAMPLE)
    assert f"{folder / SAMPLE.name} is kept" in note
    assert sorted(path.name for path in folder.iterdir()) == [SAMPLE.name, "start.lock"]
    assert await remove_leftovers(SAMPLE) == [], "it is the user's now"
    assert folder.exists()


async def test_what_is_in_use_or_of_others_is_left_alone(temporary: Path, tmp_path: Path) -> None:
    with claimed(tmp_path):
        running = temporary / f"{PREFIX}running"
        running.mkdir()
        unmarked = temporary / f"{PREFIX}unmarked"
        unmarked.mkdir()
        kept = left(temporary / f"{PREFIX}kept")
        keep(kept)
        elsewhere = left(tmp_path / "elsewhere")
        link = temporary / f"{PREFIX}link"
        link.symlink_to(elsewhere)
        named = tmp_path / "state" / "c8s" / "demo-shop"
        named.mkdir(parents=True)
        (named / "start.lock").touch()
        used = left(tmp_path / "state" / "c8s" / "demo-0123abcd")
        (used / "keep").touch()
        with claimed(running):
            assert await remove_leftovers(SAMPLE) == []
            assert all(each.exists() for each in (running, unmarked, kept, elsewhere, link, named, used))


def test_tour_removes_in_a_thread_what_is_left(temporary: Path) -> None:
    folder = tour_in(temporary)
    (folder / SAMPLE.name / "mine.py").write_text("print()\n")
    other = tour_in(temporary, "two")
    sweep = LeftoverSweep(SAMPLE)
    sweep.start()
    assert len(sweep.finish(60)) == 1
    assert not other.exists()


def test_tour_starts_no_thread_for_nothing(temporary: Path) -> None:
    sweep = LeftoverSweep(SAMPLE)
    with claimed(temporary):
        sweep.start()
    assert sweep._thread is None
    assert sweep.finish() == ()
