"""Crashes: the report, drafts of unsaved text, and the notice at the next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from workbench.cli.commands.workbench import set_up_sandbox
from workbench.session.crash_report import Crash
from workbench.session.view_state import ViewState
from workbench.tui import startup
from workbench.tui.crash import crash_message
from workbench.tui.options import AppOptions
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.setup.app import SetupApp
from workbench.tui.startup import exit_code, run_until_exit


class FaultError(Exception):
    """What no part of the app expects."""


def end_app(app: FakeWorkbench, text: str) -> None:
    """Fail in a way that no boundary contains."""
    try:
        raise FaultError(text)
    except FaultError as error:
        app._handle_exception(error)


def options(tmp_path: Path) -> AppOptions:
    return AppOptions(view_state=ViewState(tmp_path / "kept", tmp_path), reports_folder=tmp_path / "crashes")


async def test_crash_writes_a_report_and_saves_drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: EditorScreen) -> None:
        end_app(app, "token=s3cr3t-word broke it")

    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file), options=options(tmp_path))

    async def type_and_save() -> None:
        async with app.run_test(size=WIDE) as pilot:
            await until(pilot, sees(app, "hello-7"))
            await pilot.press("e")
            await until(pilot, sees(app, "name: shop"))
            await pilot.press("x", "ctrl+s")

    with monkeypatch.context() as broken:
        broken.setattr(EditorScreen, "action_save", fail)
        with pytest.raises(FaultError):
            await type_and_save()
    crash = app.crash
    assert crash is not None
    assert crash.path is not None
    assert crash.path.stat().st_mode & 0o077 == 0
    text = crash.path.read_text()
    for fact in ("FaultError", "in end_app", "textual: 8", "140x45", "RunsScreen > EditorScreen", "theme: c8s-dark"):
        assert fact in text
    assert "s3cr3t-word" not in text + crash_message(crash)
    assert str(crash.path) in crash_message(crash)
    assert exit_code(app) == 1

    again = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file), options=options(tmp_path))
    async with again.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "runs (1)", "hello-7"))
        assert isinstance(again.screen, RunsScreen), "the crashed screen is not reopened"
        await pilot.press("e")
        await until(pilot, sees(again, "edit ›", "1  xname: shop"))
        said = [message.text for message in again.messages.newest_first()]
        assert any(str(crash.path) in text for text in said)
        again.exit()
    third = FakeWorkbench([hello(7)], options=options(tmp_path))
    async with third.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(third, "1  xname: shop"))
        assert not any("crashed last time" in message.text for message in third.messages.newest_first())


async def test_second_error_does_not_hide_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = FakeWorkbench([hello(7)], options=options(tmp_path))

    def fail() -> None:
        end_app(app, "the first")

    def fail_too() -> None:
        raise OSError("the second")

    monkeypatch.setattr(app, "action_help", fail)
    monkeypatch.setattr(app, "save_unsaved", fail_too)

    async def ask_for_help() -> None:
        async with app.run_test(size=SMALL) as pilot:
            await until(pilot, sees(app, "hello-7"))
            await pilot.press("f1")

    with pytest.raises(FaultError):
        await ask_for_help()
    assert app.crash is not None
    assert "the first" in app.crash.summary
    assert "also: OSError: the second" in app.crash.text


def test_crash_before_first_paint_prints_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: RunsScreen) -> None:
        raise FaultError("too early")

    monkeypatch.setattr(RunsScreen, "compose", fail)
    app = FakeWorkbench([hello(7)], options=options(tmp_path))
    monkeypatch.setattr(app, "run", lambda **_: type(app).run(app, headless=True))
    assert run_until_exit(app) is None
    assert exit_code(app) == 1
    captured = capsys.readouterr()
    assert "the workbench has crashed" in captured.err
    assert "too early" in captured.err
    assert "Traceback" not in captured.err + captured.out


def test_report_is_printed_when_it_cannot_be_written(tmp_path: Path) -> None:
    text = crash_message(Crash("Fault: x", "c8s workbench crash report\nthe rest", None, "no space left"))
    assert "no space left" in text
    assert "the rest" in text


def test_crash_of_the_setup_app_sets_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(app: SetupApp) -> None:
        app.crash = Crash("FaultError: x", "the report", None)

    monkeypatch.setattr(startup, "run_until_exit", fail)
    assert set_up_sandbox("default", None) == (None, 1)
    monkeypatch.setattr(startup, "run_until_exit", lambda app: None)
    assert set_up_sandbox("default", None) == (None, 0)
