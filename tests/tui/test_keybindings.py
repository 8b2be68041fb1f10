"""Keys from the config, and the places that show keys: footer, help, palette and documentation."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from textual.binding import Binding
from textual.command import CommandPalette
from textual.dom import DOMNode

import workbench.tui
from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello
from tools import keys_reference
from workbench.tui import key_table, keybindings
from workbench.tui.app import Workbench
from workbench.tui.options import AppOptions
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.help import HelpScreen
from workbench.tui.screens.notifications import NotificationsScreen
from workbench.tui.screens.runs import RunsScreen


def with_keys(keys: dict[Any, Any]) -> AppOptions:
    return AppOptions(keymap=keybindings.resolve_keymap(keys))


async def test_custom_key_replaces_the_default() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    app = FakeWorkbench([hello(7)], launcher=launcher, options=with_keys({"app.run": "x", "app.help": ["f6", "alt+g"]}))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r", "question_mark")
        assert isinstance(app.screen, RunsScreen)
        assert launcher.launches == 0
        await pilot.press("alt+g")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape", "x")
        await until(pilot, lambda: launcher.launches == 1)


async def test_two_actions_can_swap_keys(tmp_path: Path) -> None:
    launcher = FakeLauncher(hello(8, "Running"), tmp_path / ".c8s.yaml")
    app = FakeWorkbench([hello(7)], launcher=launcher, options=with_keys({"app.run": "e", "app.edit": "r"}))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, lambda: launcher.launches == 1)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))


async def test_footer_and_help_show_custom_keys() -> None:
    app = FakeWorkbench([], launcher=FakeLauncher(), options=with_keys({"app.run": "x", "runs.filter": "ctrl+e"}))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "Press x to run", "x Run", "^e Filter"))
        await pilot.press("f1")
        await until(pilot, sees(app, "x ", "Run this folder's pipeline on the working tree"))
        line = next(line for line in shown(app).splitlines() if "Run this folder's pipeline on" in line)
        assert line.split("Run this")[0].strip(" │▌▐▊▎█").strip() == "x"


async def test_invalid_keys_are_reported_and_others_apply() -> None:
    app = FakeWorkbench([hello(7)], options=with_keys({"app.rum": "x", "app.cluster": "Q"}))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "keys: app.rum: there is no such action; did you mean"))
        await pilot.press("Q")
        await until(pilot, sees(app, "default › cluster"))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("?", "question_mark"), ("Ctrl+E", "ctrl+e"), ("shift+a", "A"), ("F13", "f13"), (",", "comma"),
        ("esc", "escape"),
        ("ctrl+i", "tab"), ("ctrl+space", "ctrl+@"), ("alt+x", "alt+x"), ("shift+f8", "shift+f8"), ("space", "space"),
        ("slash", "slash"), ("strg+e", None), ("f25", None), ("", None), ("ctrl+", None), ("a,b", None),
        ("banana", None), ("\x1b", None), ("ctrl+\n", None),
    ],
)  # fmt: skip
def test_key_names_are_parsed(written: str, name: str | None) -> None:
    assert keybindings.key_name(written) == name


def classes() -> list[type[DOMNode]]:
    """Every class of the workbench with bindings of its own."""
    found: dict[type[DOMNode], None] = {}
    for module in pkgutil.walk_packages(workbench.tui.__path__, "workbench.tui."):
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, type) and "BINDINGS" in vars(thing) and thing.__module__.startswith("workbench.tui"):
                found[thing] = None
    return list(found)


def test_binding_ids_are_unique_and_described() -> None:
    owners: dict[str, type[DOMNode]] = {}
    for cls in classes():
        for binding in vars(cls)["BINDINGS"]:
            assert isinstance(binding, Binding)
            assert binding.id, binding
            assert binding.tooltip, binding
            assert owners.setdefault(binding.id, cls) is cls
    assert {"app.run", "app.quit"} <= owners.keys()


def test_every_binding_has_a_focus_scope() -> None:
    placed = {cls for place in keybindings.FOCUS_SCOPES for node in place.chain for cls in node.__mro__}
    assert [cls for cls in classes() if cls not in placed and cls is not Workbench] == []


def test_default_keys_are_valid_config() -> None:
    entries = {bound.id: list(bound.keys) for bound in keybindings.bound_actions() if not bound.fixed}
    reserved = set(keybindings.RESERVED)
    kept = {name: [key for key in keys if key not in reserved] for name, keys in entries.items()}
    assert keybindings.resolve_keymap({name: keys for name, keys in kept.items() if keys}).problems == ()


def test_documentation_lists_every_action(repository: Path) -> None:
    document = (repository / "docs" / "keys.md").read_text()
    assert document.partition("## Actions\n\n")[2].rstrip() == keys_reference.tables(), (
        "docs/keys.md is out of date: run python -m tools.generate"
    )


async def test_palette_calls_every_action() -> None:
    app = busy_app(open_run="webshop-42", options=with_keys({"log.save": "f12"}))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42", "26 passed"))
        offered = {command.title: command for command in app.get_system_commands(app.screen)}
        assert not {"Log: Up", "Log: Page down", "Graph: Left", "Steps: First"} & offered.keys()
        for title in ("Log: Save", "Logs: More logs", "Graph: Fold", "Steps: Open", "This screen: Shell",
                      "This screen: Rerun failed", "Anywhere: Messages", "Theme"):  # fmt: skip
            assert title in offered
        assert "(f12)" in offered["Log: Save"].help
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"messages", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, NotificationsScreen))


async def test_palette_calls_actions_of_unfocused_widgets() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42", "26 passed"))
        await pilot.press("2")
        numbers = next(each for each in app.get_system_commands(app.screen) if each.title == "Log: Numbers")
        before = shown(app)
        await numbers.callback()
        await until(pilot, lambda: shown(app) != before)


async def test_messages_show_custom_keys() -> None:
    app = busy_app(options=with_keys({"app.cancel": "ctrl+e", "run.rerun": "f6", "log.copy": "f12"}))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("f6")
        await until(pilot, sees(app, "webshop-42 has not ended yet; ^e cancels it."))
        await pilot.press("enter")
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("3")
        await until(pilot, sees(app, "/ Find"))
        await pilot.press("m")
        await until(pilot, sees(app, "1 marked · f12 copies"))


async def test_many_problems_are_summarized() -> None:
    app = FakeWorkbench([hello(7)], options=with_keys({f"no.{number}": "x" for number in range(40)}))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "36 more problems; H lists them."))
        await pilot.press("H")
        await until(pilot, sees(app, "messages (41)", "keys: no.39: there is no such action"))


def test_a_key_has_one_action_unless_its_actions_are_alike() -> None:
    several = {
        key for key, places in key_table.actions_by_key().items() if len({each.id for each in places.values()}) > 1
    }
    assert several == set(key_table.SHARED_KEYS)


def test_the_earlier_keys_of_the_documentation_can_be_configured(repository: Path) -> None:
    document = (repository / "docs" / "keys.md").read_text()
    (block,) = [each for each in re.findall(r"```yaml\n(.*?)```", document, re.DOTALL) if "log.attempt" in each]
    keys = yaml.safe_load(block)["workbench"]["keys"]
    keymap = keybindings.resolve_keymap(keys)
    assert keymap.problems == ()
    assert keymap.keys.keys() == keys.keys()
