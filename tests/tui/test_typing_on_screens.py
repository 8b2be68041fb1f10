"""Bursts of keys and pastes through several screens, whose controller takes a moment for each answer.

In virtual time, so that slow typing takes no longer than fast typing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from textual import events
from textual.widgets import Input

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, hello
from tests.support.tui.random_scene import (
    DEFINITION,
    PIPELINE,
    RandomWorkbench,
    ScriptedController,
    fill_controller,
    sample_runs,
)
from tests.support.tui.virtual_time import run_virtual
from tests.tui.test_typing import DELAYS, type_ahead
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.screens.deliveries import DeliveryList
from workbench.tui.screens.secrets.screen import SecretList
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.tests_list import TestsList


class SlowController(ScriptedController):
    """Takes the same time for each answer, and has no errors."""

    async def delay(self) -> None:
        await asyncio.sleep(0.05)


def full_app(folder: Path) -> RandomWorkbench:
    """A workbench in which every screen has something to show."""
    file = folder / ".c8s.yaml"
    file.write_text(PIPELINE)
    launcher = FakeLauncher(hello(8, "Running"), file)
    launcher.pipeline = LintOutcome((), {**DEFINITION, "params": [{"name": "WHO"}]})
    app = RandomWorkbench([], launcher=launcher, folder=folder)
    app.controller = SlowController([], Random(1))
    fill_controller(app.controller, sample_runs(Random(1)))
    return app


def play(
    folder: Path, keys: tuple[str, ...], delay: float, holds: Callable[[RandomWorkbench], bool], paste: str = ""
) -> None:
    """Type keys, paste a text if there is one, and wait until the condition holds."""

    async def use() -> None:
        app = full_app(folder)
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, sees(app, "webshop-42"))
            await type_ahead(app, keys, delay)
            if paste:
                app.post_message(events.Paste(paste))
            await until(pilot, lambda: not app._typed and app._in_flight is None)
            await until(pilot, lambda: holds(app))
            assert (folder / ".c8s.yaml").read_text() == PIPELINE

    run_virtual(use())


_RUN = ("/", *"name:shop-3", "enter", "enter")
"""Opens a run that has ended."""


@dataclass(frozen=True)
class Field:
    """A field of a screen, the keys that lead to it, and a text for it whose letters are keys elsewhere."""

    keys: tuple[str, ...]
    screen: str
    query: str
    text: str


_FIELDS = {
    "find": Field((*_RUN, "3", "/"), "RunScreen", ".log-field-text", "qer 2"),
    "find in playback": Field((*_RUN, "<", "3", "/"), "ReplayScreen", ".log-field-text", "qer 2 <>,."),
    "keep in playback": Field((*_RUN, "<", "3", "&"), "ReplayScreen", ".log-field-text", "!q r"),
    "value of a secret": Field(("K", "down", "enter"), "SetSecretDialog", "#secret-value", "quer+K"),
    "parameter of a run": Field(("r", "enter"), "ParamsDialog", "Input", "quer W"),
    "parameter of watched runs": Field(("W",), "ParamsDialog", "Input", "quer W"),
    "palette above tests": Field((*_RUN, "T", "ctrl+p"), "ActionPalette", "Input", "quer"),
    "filter after tests": Field(
        (*_RUN, "T", "j", "escape", "escape", "/", "ctrl+u"), "RunsScreen", "#runs-filter", "Tqr"
    ),
    "filter after pushes": Field(("P", "j", "P", "/"), "RunsScreen", "#runs-filter", "status:f q"),
    "filter after secrets": Field(("K", "K", "/"), "RunsScreen", "#runs-filter", "K q"),
}


@pytest.mark.parametrize("name", _FIELDS)
def test_field_gets_what_follows_the_keys_that_lead_to_it(name: str, tmp_path: Path) -> None:
    field = _FIELDS[name]

    def holds(app: RandomWorkbench) -> bool:
        values = [each.value for each in app.screen.query(field.query).results(Input)]
        return type(app.screen).__name__ == field.screen and values == [field.text]

    for delay in DELAYS:
        play(tmp_path, (*field.keys, *field.text), delay, holds)
    play(tmp_path, field.keys, 0, holds, field.text)


@pytest.mark.parametrize("name", ["find", "parameter of a run"])
def test_long_text_that_is_pasted_is_shown(name: str, tmp_path: Path) -> None:
    field, text = _FIELDS[name], "0123456789" * 500

    def holds(app: RandomWorkbench) -> bool:
        fields = app.screen.query(field.query).results(Input)
        # A scrollbar would take the only row.
        return [(each.value, each.scrollable_content_region.height) for each in fields] == [(text, 1)]

    play(tmp_path, field.keys, 0, holds, text)


_LISTS: dict[str, tuple[tuple[str, ...], type[ListView], int]] = {
    "tests": ((*_RUN, "T", "j"), TestsList, 1),
    "pushes": (("P", "j", "j"), DeliveryList, 2),
    "secrets": (("K", "j", "j", "k"), SecretList, 1),
}


@pytest.mark.parametrize("name", _LISTS)
def test_keys_after_that_of_a_list_move_in_it(name: str, tmp_path: Path) -> None:
    keys, kind, row = _LISTS[name]

    def holds(app: RandomWorkbench) -> bool:
        shown = next(iter(app.screen.query(kind)), None)
        return shown is not None and shown.cursor is not None and shown._position == row

    for delay in (0, DELAYS[-1]):
        play(tmp_path, keys, delay, holds)


_ANSWERS: dict[str, tuple[tuple[str, ...], Callable[[SlowController], bool]]] = {
    "push that is handled again": (("P", "j", "B", "y"), lambda known: known.replayed == [("app", "d2")]),
    "secret that is set": (
        ("K", "enter", *"hunter2", "enter"),
        lambda known: list(known.secret_values.values()) == [{"token": "hunter2"}],
    ),
    "failed tests that are run again": ((*_RUN, "T", "F"), lambda known: known.rerun_failed_tests == [True]),
}


@pytest.mark.parametrize("name", _ANSWERS)
def test_answer_goes_to_what_was_asked(name: str, tmp_path: Path) -> None:
    keys, holds = _ANSWERS[name]
    for delay in (0, DELAYS[-1]):
        play(tmp_path, keys, delay, lambda app: holds(app.controller))


def test_a_list_that_takes_long_is_left_at_once(tmp_path: Path) -> None:
    async def use() -> float:
        app = full_app(tmp_path)
        loop = asyncio.get_running_loop()
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, sees(app, "webshop-42"))
            answers = asyncio.Event()

            async def wait() -> None:
                await answers.wait()

            app.controller.delay = wait  # type: ignore[method-assign]
            before = loop.time()
            await type_ahead(app, ["K", "escape"], 0)
            await until(pilot, lambda: not app._typed and app._in_flight is None and len(app.screen_stack) == 2)
            return loop.time() - before

    assert run_virtual(use()) < 1
