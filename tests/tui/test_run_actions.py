"""What a person can do with a run: look at it closer, compare it, run it again, delete it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.fakes import NOW, Scene, busy_app, hello, run, step
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.client import Artifact, RunEvent
from workbench.client.errors import ConflictError
from workbench.tui.screens.details import DetailsScreen
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.screens.runs import RunsScreen

DEFINITION = {
    "name": "shop",
    "env": {"LEVEL": "info"},
    "steps": [
        {"name": "build", "image": "alpine:3", "commands": ["make"], "env": {"MODE": "fast"},
         "secrets": [{"secretRef": "db", "key": "password", "envVar": "DB_PASSWORD"}]},
    ],
}  # fmt: skip


def shop(number: int = 1, phase: str = "Failed", *, took: float = 2) -> Scene:
    build = step("build", (), phase, message="exit code 2", duration=took)
    build = replace(build, artifacts=(Artifact("build", "out/../../evil name.txt", 5, None),))
    made = replace(run(f"shop-{number}", phase, [build]), definition=DEFINITION)
    return Scene([made], open_run=made.name)


async def test_details_tell_why_and_the_environment_without_secrets() -> None:
    scene = shop()
    scene.controller.run_events = (
        RunEvent("Warning", "BackOff", "restarting \x1b[2Jcontainer", 3, NOW, NOW, "Pod", "shop-1-build"),
    )
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("d")
        await until(pilot, sees(scene, "exit code 2", "attempt 1", "pipeline"))
        await pilot.press("right")
        await until(
            pilot, sees(scene, "DB_PASSWORD", "from secret db, key password; not shown", "MODE", "fast", "LEVEL")
        )
        await pilot.press("right")
        await until(pilot, sees(scene, "BackOff", "Pod shop-1-build", "restarting container (×3)"))
        await pilot.press("right")
        await until(pilot, sees(scene, "image: alpine:3"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(scene.app.screen, DetailsScreen))


async def test_an_artifact_is_saved_into_the_folder_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scene = shop()
    scene.controller.artifacts["out/../../evil name.txt"] = b"hello"
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(scene, "evil name.txt", "5 B"))
        await pilot.press("tab", "enter")
        await until(pilot, sees(scene, "Saved 5 bytes"))
    assert [path.name for path in tmp_path.iterdir()] == ["evil-name.txt"]


async def test_a_run_is_run_again_wholly_or_from_what_failed() -> None:
    scene = shop()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("F")
        await until(pilot, sees(scene, "runs › hello-8"))
        assert scene.controller.rerun_of == [("shop-1", True)]


async def test_what_still_runs_is_not_run_again() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "26 passed"))
        await pilot.press("R")
        await until(pilot, sees(scene, "webshop-42 has not ended yet"))
        assert scene.controller.rerun_of == []


async def test_a_rerun_that_is_refused_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = shop()

    async def refuse(*_: object, **__: object) -> None:
        raise ConflictError("its source is not stored any more")

    monkeypatch.setattr(scene.controller, "rerun", refuse)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("R")
        await until(pilot, sees(scene, "Not started", "its source is not stored any more"))


async def test_deleting_asks_first_and_leaves_the_run() -> None:
    scene = shop()
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(scene.app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(scene.app.screen, ConfirmDialog))
        assert scene.controller.deleted == []
        await pilot.press("D")
        await until(pilot, lambda: isinstance(scene.app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(scene.app.screen, RunsScreen))
        assert scene.controller.deleted == ["shop-1"]


async def test_two_runs_are_compared_by_status_duration_and_first_differing_line() -> None:
    left = run("shop-1", "Succeeded", [step("build", (), "Succeeded", duration=2)])
    right = run("shop-2", "Failed", [step("build", (), "Failed", duration=9), step("more", ("build",), "Skipped")])
    scene = Scene([left, right], open_run="shop-2")
    logs = {"shop-1": b"12:00:01 begin\nfine\n", "shop-2": b"12:09:09 begin\nbroken\n"}

    async def blocks(name: str, *_: object, **__: object):  # type: ignore[no-untyped-def]
        yield logs[name]

    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        scene.controller.log_blocks = blocks  # type: ignore[method-assign, assignment]
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("equals_sign")
        await until(pilot, sees(scene, "2 of 2 steps ended otherwise", "≠ build", "+7.0s", "not there"))
        await until(pilot, sees(scene, "The logs part at line 2", "fine", "broken"))


async def test_without_an_earlier_run_there_is_nothing_to_compare() -> None:
    scene = Scene([hello(7)], open_run="hello-7")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✓ greet"))
        await pilot.press("equals_sign")
        await until(pilot, sees(scene, "There is no earlier run of hello"))
        assert "hello-7" in shown(scene)


async def test_an_artifact_that_breaks_off_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = shop()

    async def break_off(run: str, step: str, path: str, target: Path) -> int:
        target.write_bytes(b"half")
        raise ConflictError("the store went away")

    monkeypatch.setattr(scene.controller, "download_file", break_off)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(scene, "evil name.txt"))
        await pilot.press("tab", "enter")
        await until(pilot, sees(scene, "Not saved", "the store went away"))
    assert list(tmp_path.iterdir()) == []
