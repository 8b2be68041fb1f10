"""A fault of ours ends the app: what is unsaved is kept, the report tells where, and the next start tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.worker import WorkerFailed

from tests.tui.fakes import FakeLauncher, Scene, hello
from tests.tui.test_workbench import SMALL, WIDE, sees, until
from workbench.cli.commands.workbench import set_up_sandbox
from workbench.session.view_state import ViewState
from workbench.tui import crash as app_crash
from workbench.tui.base_app import AppOptions
from workbench.tui.crash import Crash, crash_message, exit_code, run
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.services.interfaces import LaunchResult
from workbench.tui.setup.app import SetupApp


class FaultError(Exception):
    """What no part of the app expects."""


def likings(tmp_path: Path) -> AppOptions:
    return AppOptions(view_state=ViewState(tmp_path / "kept", tmp_path), reports_folder=tmp_path / "crashes")


async def test_a_fault_in_a_handler_is_written_down_and_unsaved_text_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: EditorScreen) -> None:
        raise FaultError("token=s3cr3t-word broke it")

    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\n")
    scene = Scene([hello(7)], launcher=FakeLauncher(LaunchResult(None), file), options=likings(tmp_path))

    async def type_and_save() -> None:
        async with scene.app.run_test(size=WIDE) as pilot:
            await until(pilot, sees(scene, "hello-7"))
            await pilot.press("e")
            await until(pilot, sees(scene, "name: shop"))
            await pilot.press("x", "ctrl+s")

    with monkeypatch.context() as broken:
        broken.setattr(EditorScreen, "action_save", fail)
        with pytest.raises(FaultError):
            await type_and_save()
    crash = scene.app.crash
    assert crash is not None
    assert crash.path is not None
    assert crash.path.stat().st_mode & 0o077 == 0
    text = crash.path.read_text()
    for told in ("FaultError", "in fail", "textual: 8", "140x45", "RunsScreen > EditorScreen", "theme: c8s-dark"):
        assert told in text
    assert "s3cr3t-word" not in text + crash_message(crash)
    assert str(crash.path) in crash_message(crash)
    assert exit_code(scene.app) == 1

    again = Scene([hello(7)], launcher=FakeLauncher(LaunchResult(None), file), options=likings(tmp_path))
    async with again.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "runs (1)", "hello-7"))
        assert isinstance(again.app.screen, RunsScreen), "not back to what ended it"
        await pilot.press("e")
        await until(pilot, sees(again, "edit ›", "1  xname: shop"))
        said = [message.text for message in again.app.messages.newest_first()]
        assert any(str(crash.path) in text for text in said)
    third = Scene([hello(7)], options=likings(tmp_path))
    async with third.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(third, "1  xname: shop"))
        assert not any("failed the last time" in message.text for message in third.app.messages.newest_first())


async def test_a_fault_in_a_worker_is_named_by_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene([hello(7)], options=likings(tmp_path))

    async def fail() -> None:
        raise FaultError("in the feed")

    monkeypatch.setattr(scene.app.feed, "follow", fail)
    with pytest.raises(WorkerFailed):
        async with scene.app.run_test(size=SMALL) as pilot:
            await until(pilot, lambda: scene.app.crash is not None)
    assert scene.app.crash is not None
    assert scene.app.crash.summary.endswith("FaultError: in the feed")
    assert "in fail" in scene.app.crash.text


async def test_a_second_fault_while_things_are_kept_does_not_hide_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene([hello(7)], options=likings(tmp_path))

    def fail() -> None:
        raise FaultError("the first")

    def fail_too() -> None:
        raise OSError("the second")

    monkeypatch.setattr(scene.app, "action_help", fail)
    monkeypatch.setattr(scene.app, "save_unsaved", fail_too)

    async def ask_for_help() -> None:
        async with scene.app.run_test(size=SMALL) as pilot:
            await until(pilot, sees(scene, "hello-7"))
            await pilot.press("f1")

    with pytest.raises(FaultError):
        await ask_for_help()
    assert scene.app.crash is not None
    assert "the first" in scene.app.crash.summary
    assert "also: OSError: the second" in scene.app.crash.text


def test_a_fault_before_the_first_picture_is_told_and_no_traceback_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: RunsScreen) -> None:
        raise FaultError("too early")

    monkeypatch.setattr(RunsScreen, "compose", fail)
    scene = Scene([hello(7)], options=likings(tmp_path))
    monkeypatch.setattr(scene.app, "run", lambda **_: type(scene.app).run(scene.app, headless=True))
    assert run(scene.app) is None
    assert exit_code(scene.app) == 1
    told = capsys.readouterr()
    assert "the workbench has failed" in told.err
    assert "too early" in told.err
    assert "Traceback" not in told.err + told.out


def test_a_report_that_can_not_be_written_is_shown_instead(tmp_path: Path) -> None:
    text = crash_message(Crash("Fault: x", "c8s workbench crash report\nthe rest", None, "no space left"))
    assert "no space left" in text
    assert "the rest" in text


def test_a_fault_on_the_start_is_told_by_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(app: SetupApp) -> None:
        app.crash = Crash("FaultError: x", "the report", None)

    monkeypatch.setattr(app_crash, "run", fail)
    assert set_up_sandbox("default") == (None, 1)
    monkeypatch.setattr(app_crash, "run", lambda app: None)
    assert set_up_sandbox("default") == (None, 0)
