"""Runs after each save in the workbench, with changes that the test reports."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from workbench.client.errors import ServerError

PIPELINE = "version: v1alpha1\nname: hello\nsteps: [{name: a, image: busybox:1.36, commands: ['true']}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "-q", "-b", "main", str(tree)], check=True)
    (tree / ".c8s.yaml").write_text(PIPELINE)
    (tree / "app.py").write_text("1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tree


class Saves:
    """Stands in for the watch of files: the names that a test reports."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    def __call__(self, tree: Path, file: Path, report: Callable[[str], None]) -> AsyncGenerator[frozenset[str], None]:
        return self._changes()

    async def _changes(self) -> AsyncGenerator[frozenset[str], None]:
        while True:
            yield await self.queue.get()

    def report(self, *names: str) -> None:
        self.queue.put_nowait(frozenset(names))


def watched_app(folder: Path, **options: object) -> tuple[FakeWorkbench, Saves]:
    launcher = FakeLauncher(hello(8, "Running"), path=folder / ".c8s.yaml")
    app, saves = FakeWorkbench([hello(8, "Running"), hello(7)], launcher=launcher, **options), Saves()  # type: ignore[arg-type]
    app.file_changes = saves
    return app, saves


async def test_each_save_starts_a_run_that_reuses_and_replaces_the_last(folder: Path) -> None:
    app, saves = watched_app(folder)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("W")
        await until(pilot, lambda: len(app.controller.created_runs) == 1)
        first = app.controller.created_runs[0]
        assert (first.reuse, first.watch, app.controller.cancelled) == (True, True, [])
        await until(pilot, sees(app, "· watching", "hello-8"))
        (folder / "app.py").write_text("2")
        saves.report("app.py")
        await until(pilot, lambda: len(app.controller.created_runs) == 2)
        assert app.controller.cancelled == ["hello-8"]
        assert app.controller.created_runs[1].source != first.source
        saves.report("app.py")
        await pilot.press("W")
        await until(pilot, lambda: not app.is_watching)
        await until(pilot, lambda: "· watching" not in shown(app))
        assert len(app.controller.created_runs) == 2, "nothing had changed"


async def test_broken_pipeline_is_shown_and_starts_nothing(folder: Path) -> None:
    app, saves = watched_app(folder)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("W")
        await until(pilot, lambda: len(app.controller.created_runs) == 1)
        (folder / ".c8s.yaml").write_text(PIPELINE.replace("image", "imag"))
        saves.report(".c8s.yaml")
        await until(pilot, sees(app, "Not started", "`image` is missing", "Run hello-8"))
        assert (len(app.controller.created_runs), app.controller.cancelled) == (1, [])
        (folder / ".c8s.yaml").write_text(PIPELINE.replace("true", "false"))
        saves.report(".c8s.yaml")
        await until(pilot, lambda: len(app.controller.created_runs) == 2)


async def test_controller_that_fails_is_reported_and_asked_again_after_the_next_save(folder: Path) -> None:
    app, saves = watched_app(folder)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("W")
        await until(pilot, lambda: len(app.controller.created_runs) == 1)
        app.controller.error = ServerError("the store is full")
        (folder / "app.py").write_text("2")
        saves.report("app.py")
        await until(pilot, sees(app, "Not started", "the store is full"))
        app.controller.error = None
        saves.report("app.py")
        await until(pilot, lambda: len(app.controller.created_runs) == 2)


async def test_second_watch_of_a_folder_is_refused(folder: Path) -> None:
    first, _ = watched_app(folder)
    second, _ = watched_app(folder)
    async with first.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(first, "hello-7"))
        await pilot.press("W")
        await until(pilot, lambda: len(first.controller.created_runs) == 1)
        async with second.run_test(size=WIDE, notifications=True) as other:
            await until(other, sees(second, "hello-7"))
            await other.press("W")
            await until(other, sees(second, "Not watching", "watches this pipeline already"))
            assert not second.is_watching


async def test_folder_without_a_pipeline_has_nothing_to_watch(tmp_path: Path) -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("W")
        await until(pilot, sees(app, "There is no pipeline file in this folder to watch."))


async def test_key_explains_why_a_step_ran_again(folder: Path) -> None:
    app = FakeWorkbench([hello(7)], open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "greet"))
        await pilot.press("I")
        await until(pilot, sees(app, "Why: ", "Its inputs differ from those in run web-1", "files: ~src/app.py"))
