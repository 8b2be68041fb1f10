"""The card of a failed step on the screen of its run."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeController, FakeLauncher, FakeWorkbench, run, step
from workbench.client import FirstFailure, Run, SavedWorkspace
from workbench.client.models import StepCommand
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.widgets.failure_panel import FailurePanel
from workbench.tui.widgets.log.pane import LogPane

FAILED_LOG = [
    "collected 27 items",
    "tests/test_price.py ............",
    "tests/test_cart.py ......F.....",
    "tests/test_cart.py:31: AssertionError: 2 != 3",
    "1 failed, 26 passed in 20.61s",
]
GREEN_LOG = [
    "collected 27 items",
    "tests/test_price.py ............",
    "tests/test_cart.py ............",
    "27 passed in 19.20s",
]


def failed_run(*, commit: str = "1a2b3c4d5e", more_steps: int = 0) -> Run:
    failure = FirstFailure(4, FAILED_LOG[3], "tests/test_cart.py", 31)
    unit = step(
        "unit", ("deps",), "Failed", duration=30, message="`make unit` failed: exit code 2", first_failure=failure
    )
    attempt = replace(unit.attempts[0], exit_code=2, saved_workspace=SavedWorkspace(100, 3))
    steps = [step("deps", (), "Succeeded"), replace(unit, attempts=(attempt,)), step("lint", (), "Succeeded")]
    steps += [step(f"check-{number}", (), "Succeeded") for number in range(more_steps)]
    return replace(run("shop-42", "Failed", steps, message="unit failed"), commit=commit)


def green_run(*, commit: str = "0f0f0f0f0f") -> Run:
    steps = [step("deps", (), "Succeeded"), step("unit", ("deps",), "Succeeded"), step("lint", (), "Succeeded")]
    return replace(run("shop-41", "Succeeded", steps, created_ago=600), commit=commit)


class TwoLogs(FakeController):
    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        if step == "unit" and run == "shop-41":
            yield "".join(f"{line}\n" for line in GREEN_LOG).encode()
            return
        async for block in super().log_blocks(run, step, attempt=attempt, container=container, timestamps=timestamps):
            yield block


def failed_app(failed: Run | None = None, green: Run | None = None, **options: Any) -> FakeWorkbench:
    """The run shop-42, whose step `unit` failed, and shop-41, in which it succeeded."""
    options.setdefault("shell", lambda *_: ["true"])
    runs = [failed or failed_run(), green or green_run()]
    app = FakeWorkbench(runs, open_run="shop-42", launcher=FakeLauncher(pipeline="shop"), **options)
    app.controller = TwoLogs(runs)
    app.controller.lines["unit"] = FAILED_LOG
    end = NOW - timedelta(seconds=30)
    app.controller.step_commands["unit"] = [
        StepCommand(0, "make deps", 1, end - timedelta(seconds=30), end - timedelta(seconds=21.4), 0),
        StepCommand(1, "make unit", 1, end - timedelta(seconds=21.4), end, 2),
    ]
    return app


def card(app: FakeWorkbench) -> FailurePanel:
    return app.screen.query_one(FailurePanel)


async def test_card_explains_a_failed_step() -> None:
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ unit: `make unit` failed: exit code 2", "I closes"))
        await until(pilot, sees(app, "exit code 2 · 21.4s  $ make unit", "▎4 tests/test_cart.py:31: AssertionError"))
        await until(pilot, sees(app, "Differs from shop-41, where it succeeded, from line 3"))
        assert "then tests/test_cart.py ............" in shown(app)
        assert "now  tests/test_cart.py ......F....." in shown(app)
        assert "S shell in its workspace   M resume   F rerun failed   R rerun all" in shown(app)
        assert app.screen.query_one(LogPane).view.size.height >= 8


async def test_card_is_closed_and_opened_with_a_key() -> None:
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "I closes"))
        await pilot.press("I")
        await until(pilot, lambda: "I closes" not in shown(app))
        assert app.screen.layout_state()["card"] is False  # type: ignore[attr-defined]
        await pilot.press("I")
        await until(pilot, sees(app, "I closes"))
        assert "card" not in app.screen.layout_state()  # type: ignore[attr-defined]


async def test_step_that_succeeded_has_no_card() -> None:
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "I closes", "I Why"))
        await pilot.press("2", "home")
        await until(pilot, lambda: not card(app).display)
        await pilot.press("down")
        await until(pilot, sees(app, "I closes", "Differs from shop-41"))


async def test_small_terminal_shows_the_card_in_place_of_the_log() -> None:
    app = failed_app(failed_run(more_steps=8))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        assert not card(app).display
        await pilot.press("3", "I")
        await until(pilot, sees(app, "I closes", "$ make unit", "now  tests/test_cart.py", "M resume"))
        assert "✗ unit  5 lines" not in shown(app)
        await pilot.press("escape")
        await until(pilot, sees(app, "✗ unit  5 lines"))
        assert isinstance(app.screen, RunScreen)
        assert app.focused is app.screen.query_one(LogPane).view


async def test_log_key_closes_a_card_in_place_of_the_log() -> None:
    app = failed_app(failed_run(more_steps=8))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("I")
        await until(pilot, sees(app, "I closes"))
        await pilot.press("3")
        await until(pilot, sees(app, "✗ unit  5 lines"))
        assert not card(app).display


async def test_maximised_log_hides_the_card() -> None:
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "I closes"))
        await pilot.press("f")
        await until(pilot, lambda: not card(app).display)
        await pilot.press("f")
        await until(pilot, sees(app, "I closes"))


async def test_card_appears_when_the_terminal_grows() -> None:
    app = failed_app(failed_run(more_steps=8))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.resize_terminal(*WIDE)
        await until(pilot, sees(app, "I closes", "Differs from shop-41"))


async def test_card_appears_when_a_step_fails() -> None:
    running = run("shop-42", "Running", [step("deps", (), "Succeeded"), step("unit", ("deps",), "Running")])
    app = failed_app(running)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ unit"))
        assert not card(app).display
        app.change_run(failed_run())
        await until(pilot, sees(app, "I closes", "Differs from shop-41", "R rerun all"))


async def test_changed_files_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        own = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        command = ["git", *own, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=30
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "cart.py").write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    old = git("rev-parse", "HEAD")
    (tmp_path / "cart.py").write_text("2")
    git("commit", "-qam", "second")
    monkeypatch.chdir(tmp_path)
    app = failed_app(failed_run(commit=f"{git('rev-parse', 'HEAD')}-dirty"), green_run(commit=old))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "Changed since shop-41: 1 file and uncommitted changes:  M cart.py"))


async def test_source_of_a_failure_opens_in_the_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_cart.py").write_text("x\n")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISUAL", "vim")
    opened: list[list[str]] = []
    monkeypatch.setattr(
        "workbench.tui.screens.run.source_actions.run_external", lambda _, command: opened.append(command)
    )
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "o edit tests/test_cart.py:31"))
        await pilot.press("o")
        await until(pilot, lambda: bool(opened))
        assert opened == [["vim", "+31", str(tmp_path / "tests" / "test_cart.py")]]


async def test_missing_editor_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_cart.py").write_text("x\n")
    monkeypatch.chdir(tmp_path)
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "I closes"))
        await pilot.press("o")
        await until(pilot, sees(app, "No editor is set"))


async def test_source_outside_of_the_folder_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = failed_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "I closes"))
        assert "o edit" not in shown(app)
        await pilot.press("o")
        await until(pilot, sees(app, "is not a file of this folder"))


async def test_all_that_one_can_do_is_named_in_a_narrow_terminal() -> None:
    app = failed_app()
    async with app.run_test(size=(60, 24), notifications=True) as pilot:
        await until(pilot, sees(app, "S shell in its workspace", "R rerun all", "b hold it next time"))
