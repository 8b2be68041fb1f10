"""Actions on a run: details, artifacts, rerun, resume, compare, delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeLauncher, FakeWorkbench, busy_app, hello, run, step
from workbench.client import Reused, Run, RunEvent
from workbench.client.errors import ConflictError, NotFoundError
from workbench.client.models import SecretNames
from workbench.client.step_reuse import StepReuse
from workbench.pipeline_file.load import LintOutcome
from workbench.runs.reuse_explanation import explain_reuse, reuse_details
from workbench.session.source_manifests import SourceManifests
from workbench.tui.screens.base import clock_text
from workbench.tui.screens.details import DetailsScreen
from workbench.tui.screens.dialogs import ChoiceDialog, ConfirmDialog
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.terminal.external_programs import temporary_folder


async def test_resume_reuses_the_failed_run() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "hello"})
    app = FakeWorkbench([hello(7, "Failed")], launcher=launcher, open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ greet"))
        await pilot.press("M")
        await until(pilot, sees(app, "Nothing is reused from hello-7."))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ParamsDialog))
        assert launcher.launches == 0
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ParamsDialog))
        await pilot.press("enter")
        await until(pilot, lambda: launcher.launches == 1)
        assert launcher.options["reuse_from"] == "hello-7"


async def test_buttons_of_resume_are_seen_in_a_small_terminal() -> None:
    steps = [{"name": f"step-{number}", "image": "alpine:3", "commands": ["false"]} for number in range(9)]
    definition = {"name": "shop", "params": [{"name": "target", "default": "dev"}], "steps": steps}
    failed = run("shop-1", "Failed", [step(str(each["name"]), (), "Failed") for each in steps])
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), definition)
    app = FakeWorkbench([replace(failed, definition=definition)], launcher=launcher, open_run="shop-1")
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        await until(pilot, sees(app, "✗ step-0"))
        await pilot.press("M")
        await until(pilot, sees(app, "Run shop", "target"))
        await until(pilot, lambda: any("Back " in row and " Run " in row for row in shown(app).splitlines()[:-1]))


async def test_resume_says_what_it_would_reuse_with_these_parameters() -> None:
    build = {"name": "build", "image": "alpine:3", "commands": ["make"]}
    test = {"name": "test", "image": "alpine:3", "commands": ["false"], "dependsOn": ["build"]}
    definition = {"name": "shop", "params": [{"name": "target", "default": "dev"}], "steps": [build, test]}
    steps = [replace(step(name, (), "Succeeded"), inputs=name) for name in ("build", "test")]
    earlier = replace(run("shop-1", "Failed", [steps[0], replace(steps[1], phase="Failed", depends_on=("build",))]),
                      definition=definition)  # fmt: skip
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {**definition, "steps": [build, {**test, "commands": ["true"]}]})
    app = FakeWorkbench([earlier], launcher=launcher, open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test"))
        await pilot.press("M")
        await until(pilot, sees(app, "1 of 2 steps is reused from shop-1", "test: failed in shop-1; commands: +true"))
        await pilot.press("end", *"x")
        await until(pilot, sees(app, "Nothing is reused from shop-1.", "build: parameter target: dev → devx"))
        await pilot.press("enter")
        await until(pilot, lambda: launcher.options.get("params") == {"target": "devx"})


async def test_artifact_is_opened_from_a_private_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/seen\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("DISPLAY", ":0")
    made = step("build", (), "Succeeded")
    app = FakeWorkbench([run("shop-1", "Succeeded", [made])], open_run="shop-1")
    app.controller.artifact_files["out/report.txt"] = b"hello"
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "out/report.txt"))
        await pilot.press("tab", "o")
        await until(pilot, sees(app, "Opened report.txt"))
    assert (tmp_path / "seen").read_bytes() == b"hello"
    assert temporary_folder().stat().st_mode & 0o077 == 0


DEFINITION = {
    "name": "shop",
    "env": {"LEVEL": "info"},
    "steps": [
        {"name": "build", "image": "alpine:3", "commands": ["make"], "env": {"MODE": "fast"},
         "secrets": [{"secretRef": "db", "key": "password", "envVar": "DB_PASSWORD"}]},
    ],
}  # fmt: skip


def shop(number: int = 1, phase: str = "Failed", *, took: float = 2) -> FakeWorkbench:
    build = step("build", (), phase, message="exit code 2", duration=took)
    made = replace(run(f"shop-{number}", phase, [build]), definition=DEFINITION)
    app = FakeWorkbench([made], open_run=made.name)
    app.controller.stored_secrets = (SecretNames("db", ("password",)),)
    return app


async def test_details_show_the_environment_without_secrets() -> None:
    app = shop()
    build = app.controller.listed[0].steps[0]
    made = replace(build, attempts=(replace(build.attempts[0], job_name="shop-1-build", pod_name="shop-1-build-x"),))
    app.controller.listed = (replace(app.controller.listed[0], steps=(made,)),)
    later = NOW + timedelta(seconds=1.5)
    app.controller.run_events = (
        RunEvent("Warning", "BackOff", "restarting \x1b[2Jcontainer", 3, NOW, later, "Pod", "shop-1-build-x"),
        RunEvent("Normal", "Created", "of another step", 1, NOW, NOW, "Job", "shop-1-test"),
        RunEvent("Normal", "Started", "the first", 1, NOW, NOW, "Job", "shop-1-build"),
    )
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("d")
        await until(pilot, sees(app, "exit code 2", "attempt 1", "pipeline"))
        await pilot.press("right")
        await until(pilot, sees(app, "DB_PASSWORD", "from secret db, key password; not shown", "MODE", "fast", "LEVEL"))
        await pilot.press("right")
        await until(pilot, sees(app, "BackOff", "Pod shop-1-build-x", "restarting container (×3)"))
        lines = [line for line in shown(app).splitlines() if "shop-1-build" in line and clock_text(NOW)[:6] in line]
        assert [line.split()[:2] for line in lines] == [[clock_text(NOW), "Started"], [clock_text(later), "BackOff"]]
        assert "of another step" not in shown(app)
        await pilot.press("right")
        await until(pilot, sees(app, "image: alpine:3"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, DetailsScreen))


async def test_artifact_is_saved_under_a_safe_name(
    tmp_path: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = shop()
    app.controller.artifact_files["out/../../evil name.txt"] = b"hello"
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "evil name.txt", "5 B"))
        await pilot.press("tab", "ctrl+s")
        await until(pilot, sees(app, "Saved 5 bytes"))
    assert [path.name for path in downloads.iterdir()] == ["evil-name.txt"]
    assert list(tmp_path.iterdir()) == [], "the working tree is sent with each run"


async def test_rerun_from_failed_steps() -> None:
    app = shop()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("F")
        await until(pilot, sees(app, "runs › hello-8"))
        assert app.controller.rerun_of == [("shop-1", True)]


async def test_active_run_is_not_rerun() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("R")
        await until(pilot, sees(app, "webshop-42 has not ended yet"))
        assert app.controller.rerun_of == []


async def test_refused_rerun_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    app = shop()

    async def refuse(*_: object, **__: object) -> None:
        raise ConflictError("its source is not stored any more")

    monkeypatch.setattr(app.controller, "rerun", refuse)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("R")
        await until(pilot, sees(app, "Not started", "its source is not stored any more"))


async def test_delete_asks_first() -> None:
    app = shop()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
        assert app.controller.deleted == []
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert app.controller.deleted == ["shop-1"]


async def test_compare_shows_the_first_differing_line() -> None:
    left = run("shop-1", "Succeeded", [step("build", (), "Succeeded", duration=2)])
    right = run("shop-2", "Failed", [step("build", (), "Failed", duration=9), step("more", ("build",), "Skipped")])
    app = FakeWorkbench([left, right], open_run="shop-2")
    logs = {"shop-1": b"12:00:01 begin\nfine\n", "shop-2": b"12:09:09 begin\nbroken\n"}

    async def blocks(name: str, *_: object, **__: object):  # type: ignore[no-untyped-def]
        yield logs[name]

    async with app.run_test(size=WIDE, notifications=True) as pilot:
        app.controller.log_blocks = blocks  # type: ignore[method-assign, assignment]
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("equals_sign")
        await until(pilot, sees(app, "2 of 2 steps changed result", "≠ build", "+7.0s", "not in this run"))
        await until(pilot, sees(app, "Logs differ from line 2", "fine", "broken"))


async def test_compare_needs_an_earlier_run() -> None:
    app = FakeWorkbench([hello(7)], open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ greet"))
        await pilot.press("equals_sign")
        await until(pilot, sees(app, "There is no earlier run of hello"))
        assert "hello-7" in shown(app)


async def test_interrupted_download_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = shop()
    app.controller.artifact_files["out/evil name.txt"] = b"hello"

    async def break_off(run: str, step: str, path: str, target: Path) -> int:
        target.write_bytes(b"half")
        raise ConflictError("the store went away")

    monkeypatch.setattr(app.controller, "download_file", break_off)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "evil name.txt"))
        await pilot.press("tab", "ctrl+s")
        await until(pilot, sees(app, "Not saved", "the store went away"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_details_show_breadcrumbs(size: tuple[int, int]) -> None:
    app = busy_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("d")
        await until(pilot, sees(app, "runs › webshop-42 › details", "Environment", "Back"))
        assert app.screen.max_scroll_y == 0


DEPLOY = {"name": "hello", "steps": [{"name": "greet", "secrets": [{"secretRef": "ssh", "key": "key"}]}]}


def deploying() -> tuple[FakeWorkbench, FakeLauncher]:
    """A workbench whose pipeline uses the secret `ssh`, which does not exist."""
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), DEPLOY)
    failed = replace(hello(7, "Failed"), definition=DEPLOY)
    return FakeWorkbench([failed], launcher=launcher, open_run="hello-7", command_options=" --name other"), launcher


async def test_run_without_its_secrets_is_started_on_confirmation_only() -> None:
    app, launcher = deploying()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ greet"))
        await pilot.press("r")
        await until(pilot, sees(app, "1 secret that the run needs is missing", "c8s secrets set --name other ssh key"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ChoiceDialog))
        assert launcher.launches == 0
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("right", "enter")
        await until(pilot, lambda: launcher.launches == 1)


async def test_rerun_without_its_secrets_is_started_on_confirmation_only() -> None:
    app, _ = deploying()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ greet"))
        await pilot.press("R")
        await until(pilot, sees(app, "for greet"))
        assert app.controller.rerun_of == []
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.controller.rerun_of == [("hello-7", False)])


async def test_run_with_its_secrets_starts_without_a_question() -> None:
    app, launcher = deploying()
    app.controller.stored_secrets = (SecretNames("ssh", ("key",)),)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ greet"))
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ParamsDialog))
        await pilot.press("enter")
        await until(pilot, lambda: launcher.launches == 1)


def resumed() -> tuple[Run, Run]:
    """A run, and one that has reused a step of it."""
    build = {"name": "build", "image": "alpine:3", "commands": ["make"]}
    test = {"name": "test", "image": "alpine:3", "commands": ["false"]}
    steps = [replace(step(name, (), "Succeeded"), inputs=name) for name in ("build", "test")]
    first = replace(run("shop-1", "Failed", [steps[0], replace(steps[1], phase="Failed")]),
                    definition={"name": "shop", "steps": [build, test]})  # fmt: skip
    reused = replace(steps[0], attempts=(), reused=Reused("shop-1", "build", 1))
    again = replace(steps[1], inputs="other")
    second = replace(run("shop-2", "Succeeded", [reused, again]), reuse_from="shop-1",
                     definition={"name": "shop", "steps": [build, {**test, "commands": ["true"]}]})  # fmt: skip
    return first, second


async def test_heading_shows_how_much_was_reused() -> None:
    app = FakeWorkbench(resumed(), open_run="shop-2")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "1 of 2 reused, saved 1.50s"))


async def test_details_say_why_a_step_ran_again() -> None:
    app = FakeWorkbench(resumed(), open_run="shop-2")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ test"))
        await pilot.press("2", "end", "d")
        await until(pilot, sees(app, "ran again", "failed in shop-1; commands: +true, -false"))


async def test_details_say_that_the_earlier_run_is_gone() -> None:
    _, second = resumed()
    found = await explain_reuse(Deleted(), second, SourceManifests(Path("/nonexistent")), NOW)
    assert found is not None
    assert [(each.name, each.text) for each in reuse_details(found, None)] == [
        ("reuse", "1 of 2 reused (from shop-1)"), ("not compared", "there is no run shop-1"),
    ]  # fmt: skip


class Deleted:
    """A controller whose runs were deleted."""

    async def explain_step(self, name: str, step: str) -> StepReuse:
        raise NotFoundError(f"there is no run {name}")

    async def run(self, name: str) -> Run:
        raise NotFoundError(f"there is no run {name}")
