"""Keys that are typed ahead: each finds the focus that the one before it has made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.widgets import Input

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.ordered_input import KeyHandled, OrderedInput
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.widgets.editor.yaml_editor import YamlEditor

DELAYS = [0, 0.03, 0.12]


async def type_ahead(app: FakeWorkbench, keys: Iterable[str], delay: float) -> None:
    """Send keys as a terminal does: without waiting for what they do."""
    for key in keys:
        event = events.Key(_character_to_key(key) if len(key) == 1 else key, key if len(key) == 1 else None)
        event.set_sender(app)
        app.post_message(event)
        if delay:
            await asyncio.sleep(delay)


@pytest.mark.parametrize("delay", DELAYS)
async def test_filter_of_runs_gets_every_letter(delay: float) -> None:
    app = busy_app(launcher=FakeLauncher(hello(8, "Running")))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await type_ahead(app, "/failed reqd", delay)
        field = app.screen.query_one("#runs-filter", Input)
        await until(pilot, lambda: field.value == "failed reqd")
        assert isinstance(app.screen, RunsScreen)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("purpose", ["/", "&", ":"])
async def test_prompt_of_a_log_gets_every_letter(purpose: str, delay: float) -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await type_ahead(app, ["3", purpose, *"q+90s red"], delay)
        field = app.screen.query_one(".log-field-text", Input)
        await until(pilot, lambda: field.value == "q+90s red")


@pytest.mark.parametrize("delay", DELAYS)
async def test_dialog_gets_what_is_typed_after_its_key(delay: float) -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "hello", "params": [{"name": "WHO"}]})
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await type_ahead(app, "rqueen", delay)
        await until(pilot, lambda: isinstance(app.screen, ParamsDialog))
        await until(pilot, lambda: [each.value for each in app.screen.query(Input)] == ["queen"])
        await type_ahead(app, ["enter"], 0)
        await until(pilot, lambda: launcher.options.get("params") == {"WHO": "queen"})


@pytest.mark.parametrize("delay", DELAYS)
async def test_editor_gets_what_is_typed_after_its_key(delay: float, tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await type_ahead(app, "equer", delay)
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await until(pilot, lambda: [each.text for each in app.screen.query(YamlEditor)] == ["quer"])


@pytest.mark.parametrize("delay", DELAYS)
async def test_palette_gets_what_is_typed_after_its_key(delay: float) -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await type_ahead(app, ["ctrl+p", *"requdr"], delay)
        await until(pilot, lambda: [each.value for each in app.screen.query(Input)] == ["requdr"])


async def _typed_into(field: str, keys: list[str], text: str, delay: float, folder: Path, *, pasted: bool) -> None:
    """Open a field by keys and type, or paste, a text at once: the field must have it, and nothing else."""
    file = folder / ".c8s.yaml"
    file.write_text("name: hello\nsteps: []\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await type_ahead(app, keys, delay)
        if pasted:
            app.post_message(events.Paste(text))
        else:
            await type_ahead(app, text, delay)
        await until(pilot, lambda: [each.value for each in app.screen.query(field).results(Input)] == [text])
        assert file.read_text() == "name: hello\nsteps: []\n"


_FIELDS = [
    ("#secret-name", ["K", "plus"], "quer"),
    ("FindBar Input", ["e", "ctrl+f"], "quer"),
    ("FindBar Input", ["e", "ctrl+g"], "12"),
]


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize(("field", "keys", "text"), _FIELDS)
async def test_every_field_gets_every_letter(
    field: str, keys: list[str], text: str, delay: float, tmp_path: Path
) -> None:
    await _typed_into(field, keys, text, delay, tmp_path, pasted=False)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize(("field", "keys", "text"), [*_FIELDS, ("CommandPalette Input", ["ctrl+p"], "rer")])
async def test_every_field_gets_what_is_pasted(
    field: str, keys: list[str], text: str, delay: float, tmp_path: Path
) -> None:
    await _typed_into(field, keys, text, delay, tmp_path, pasted=True)


async def test_question_gets_the_answer_that_follows_its_key() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await type_ahead(app, ["ctrl+x", "y"], 0)
        await until(pilot, lambda: app.controller.cancelled == ["webshop-42"])
        assert not isinstance(app.screen, ConfirmDialog)


async def test_paste_goes_to_the_field_that_the_key_before_opens() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await type_ahead(app, "/", 0)
        app.post_message(events.Paste("webshop main"))
        await type_ahead(app, "x", 0)
        await until(pilot, lambda: app.screen.query_one("#runs-filter", Input).value == "webshop mainx")


async def test_a_hold_that_has_expired_ends_no_other() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        field = app.screen.query_one("#runs-filter", Input)
        first = app.hold_keys(0.01)
        first.__enter__()
        await until(pilot, lambda: app._holds == 0)
        with app.hold_keys(60):
            first.__exit__(None, None, None)
            await type_ahead(app, "/x", 0)
            await pilot.pause(0.05)
            assert not field.display
        await until(pilot, lambda: field.value == "x")


async def test_keys_are_read_again_when_one_gets_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.ordered_input._MAX_WAIT", 0.05)
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        app._in_flight = -1  # A key that was lost.
        await type_ahead(app, "/x", 0)
        await until(pilot, lambda: app.screen.query_one("#runs-filter", Input).value == "x")


async def test_keys_behind_one_that_is_lost_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.ordered_input._MAX_WAIT", 0.2)
    read: list[KeyHandled] = []
    handle = OrderedInput.on_key_handled

    def lose_the_second(app: OrderedInput, message: KeyHandled) -> None:
        read.append(message)
        if len(read) != 2:
            handle(app, message)

    monkeypatch.setattr(OrderedInput, "on_key_handled", lose_the_second)
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await type_ahead(app, "/xyz", 0)
        await until(pilot, lambda: app.screen.query_one("#runs-filter", Input).value == "xyz")
        assert len(read) >= 4


async def test_a_screen_that_goes_with_the_key_that_it_handles_stops_nothing() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        app._in_flight, app._read_at, app._handled_by = 99, asyncio.get_running_loop().time(), app.screen
        app.pop_screen()
        await type_ahead(app, "/x", 0)
        await until(pilot, lambda: app.screen.query_one("#runs-filter", Input).value == "x")
