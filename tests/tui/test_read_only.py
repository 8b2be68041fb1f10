"""A workbench that is read-only: keys that change something are refused in words, and nothing is sent or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from workbench.client.models import RunDeleted, SecretNames
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.app import Workbench
from workbench.tui.keybindings import FOCUS_SCOPES, bindings_of
from workbench.tui.options import AppOptions, is_writing
from workbench.tui.screens.editor import EditorScreen

REFUSED = "This workbench is read-only"
WRITING = {
    "app.run", "app.watch", "app.edit", "app.cancel", "app.start-sandbox", "run.rerun", "run.rerun-failed",
    "run.resume", "run.delete", "run.approve", "run.hold", "run.continue", "run.retry", "run.accept", "run.shell",
    "run.open-source", "tests.rerun-failed", "tests.resume", "tests.open-source", "secrets.add", "secrets.delete",
    "deliveries.replay",
}  # fmt: skip


def read_only(**options: object) -> FakeWorkbench:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "hello"})
    found = FakeWorkbench(
        [hello(7, "Failed"), hello(6, "Running")],
        launcher=launcher, options=AppOptions(read_only=True), **options,
    )  # fmt: skip
    found.controller.stored_secrets = (SecretNames("db", ("password",)),)
    return found


def test_every_action_that_changes_something_is_known() -> None:
    found = {
        binding.id
        for scope in FOCUS_SCOPES
        for node in (*scope.chain, Workbench)
        for binding in bindings_of(node)
        if binding.id is not None and is_writing(node.__new__(node), binding.action.partition("(")[0])
    }
    assert found == WRITING


async def test_the_list_says_nothing_of_a_folder_that_is_not_looked_at() -> None:
    app = FakeWorkbench([hello(7)], options=AppOptions(read_only=True))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        assert ".c8s.yaml" not in shown(app)
        await pilot.press("a")
        await until(pilot, sees(app, "/ with pipeline:NAME"))
        app.controller.changes.put_nowait(RunDeleted(hello(7)))
        await until(pilot, sees(app, "No runs yet"))
        assert ".c8s.yaml" not in shown(app)


@pytest.mark.parametrize("open_run", [None, "hello-7", "hello-6"])
async def test_no_key_writes(open_run: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = read_only(open_run=open_run)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "c8s read-only", open_run or "hello-7"))
        depth = len(app.screen_stack)
        for key in ("r", "W", "e", "ctrl+x", "U", "R", "F", "M", "D", "delete", "L", "b", "u", "X", "V", "S", "o"):
            await pilot.press(key)
            await pilot.pause()
            assert len(app.screen_stack) == depth, (key, shown(app))
        await until(pilot, sees(app, REFUSED))
        controller = app.controller
        changes = [controller.cancelled, controller.deleted, controller.rerun_of, controller.created_runs]
        assert [*changes, controller.continued, controller.approved, controller.replayed] == [[]] * 7
    assert list(tmp_path.iterdir()) == []


async def test_secrets_are_listed_and_can_not_be_set() -> None:
    app = read_only()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "password"))
        for key in ("plus", "D", "enter"):
            await pilot.press(key)
            await pilot.pause()
        await until(pilot, sees(app, REFUSED))
        assert app.controller.secret_values == {}
        assert app.controller.stored_secrets == (SecretNames("db", ("password",)),)


async def test_no_way_leads_to_the_editor(tmp_path: Path) -> None:
    app = read_only()
    file = tmp_path / ".c8s.yaml"
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        app.edit_file(file)
        await until(pilot, sees(app, REFUSED))
        assert not isinstance(app.screen, EditorScreen)


async def test_footer_and_help_do_not_offer_what_is_refused() -> None:
    app = read_only(open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ greet", "Details"))
        footer = shown(app).splitlines()[-1]
        assert "Rerun" not in footer
        assert "Edit" not in footer
        assert "Help" in footer
        assert "rerun" not in shown(app), "the card of the failure offers nothing either"
