"""Holding steps from the screen of a run, and letting held ones go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello, run, step
from workbench.client.errors import ConflictError
from workbench.client.models import Run, Step
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.screens.dialogs import ChoiceDialog


def held(at: str) -> Step:
    one = step("test", ("build",), "Pending" if at == "before" else "Running", attempts=1)
    running = step("test", (), "Running").attempts[0]
    attempt = replace(running, held=at, exit_code={"after": 0, "failed": 3}.get(at))
    return replace(one, reason="Held", message="held; c8s continue lets it go on", attempts=(attempt,))


def going(*steps: Step) -> Run:
    return run("shop-1", "Running", [step("build", (), "Succeeded"), *steps])


def ended() -> Run:
    definition = {"name": "shop", "steps": [{"name": "build"}, {"name": "test"}]}
    failed = run("shop-1", "Failed", [step("build", (), "Succeeded"), step("test", ("build",), "Failed")])
    return replace(failed, definition=definition)


async def test_step_that_has_not_started_is_held_in_this_run() -> None:
    app = FakeWorkbench([going(step("test", ("build",)))], open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "● test"))
        await pilot.press("2", "end", "b")
        await until(pilot, sees(app, "Hold test?", "In this run, the step waits in its container"))
        await pilot.press("down", "enter")
        await until(pilot, sees(app, "test is held when its commands fail in this run."))
        await until(pilot, sees(app, "is held when its commands fail"))
        assert app.controller.listed[0].breakpoints == (("test", "failed"),)
        await pilot.press("b")
        await until(pilot, sees(app, "Don't hold it"))
        await pilot.press("up", "up", "enter")
        await until(pilot, sees(app, "test is not held in this run."))
        assert app.controller.listed[0].breakpoints == ()


async def test_failed_step_is_held_in_the_next_run() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "shop", "steps": [{"name": "test"}]})
    app = FakeWorkbench([ended()], launcher=launcher, open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test", "b hold it next time"))
        await pilot.press("b")
        await until(pilot, sees(app, "In the next run of shop, the step waits"))
        await pilot.press("enter")
        await until(pilot, sees(app, "is held before its commands in the next run"))
        await pilot.press("r")
        await until(pilot, lambda: launcher.launches == 1)
        assert launcher.options["breakpoints"] == (("test", "before"),)
        await until(pilot, lambda: not app.next_holds.of("shop"))


async def test_rerun_holds_steps_too() -> None:
    app = FakeWorkbench([ended()], open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test"))
        app.next_holds.set("shop", "test", "failed")
        app.next_holds.set("shop", "gone", "failed")
        await pilot.press("R")
        await until(pilot, lambda: app.controller.rerun_of == [("shop-1", False)])
        assert app.controller.rerun_breakpoints == (("test", "failed"),)
        await until(pilot, sees(app, "gone is not held: the pipeline no longer has it."))


@pytest.mark.parametrize(
    ("at", "words", "keys"),
    [
        ("before", "Held, not begun", "u continue"),
        ("failed", "Held, failed, exit code 3", "u continue  X retry  V accept"),
        ("after", "Held, succeeded", "u continue  X retry  V accept"),
    ],
)
async def test_held_step_says_what_can_be_done(at: str, words: str, keys: str) -> None:
    app = FakeWorkbench([going(held(at))], open_run="shop-1", shell=lambda *_: ["true"])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "‖ test", words, "S shell", keys))
        assert "u Continue" in " ".join(shown(app).splitlines()[-1].split())
        await pilot.press("X", "V", "u")
        done = ["retry", "accept", "go"] if at != "before" else ["go"]
        await until(pilot, lambda: app.controller.continued == [("shop-1", "test", action) for action in done])


async def test_keys_of_held_steps_do_nothing_elsewhere() -> None:
    app = FakeWorkbench([going(step("test", ("build",)))], open_run="shop-1")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "● test"))
        await pilot.press("end", "u", "X", "V")
        await pilot.pause()
        assert app.controller.continued == []


async def test_refused_breakpoint_says_why() -> None:
    app = FakeWorkbench([going(step("test", ("build",)))], open_run="shop-1")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "● test"))
        await pilot.press("2", "end", "b")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        app.controller.error = ConflictError("the run shop-1 has ended already")
        await pilot.press("enter")
        await until(pilot, sees(app, "Not held", "has ended already"))
        assert app.next_holds.of("shop") == {}
