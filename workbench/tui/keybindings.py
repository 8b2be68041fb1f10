"""All actions that have keys, and where they apply; the config's `keys` may name them.

Generated from the bindings. Importing this imports every screen, so it is done
only for users with keys of their own and for the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, format_key
from textual.widgets import Input, TextArea

from workbench.session.keymap import BoundAction, Keymap, build_keymap
from workbench.tui.app import Workbench
from workbench.tui.screens.artifacts.artifact_list import ArtifactList
from workbench.tui.screens.artifacts.preview import PreviewPane, PreviewScreen
from workbench.tui.screens.cluster import ClusterScreen
from workbench.tui.screens.compare import CompareScreen
from workbench.tui.screens.deliveries import DeliveriesScreen, DeliveryList
from workbench.tui.screens.details import DetailsScreen
from workbench.tui.screens.dialogs import ChoiceDialog, ConfirmDialog, ProblemsDialog
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.help import HelpScreen
from workbench.tui.screens.jump import JumpScreen
from workbench.tui.screens.notifications import NotificationList, NotificationsScreen
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.screens.run.replay import ReplayScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.run.test_results import TestsScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.secrets.dialog import SetSecretDialog
from workbench.tui.screens.secrets.screen import SecretList, SecretsScreen
from workbench.tui.setup.app import ProviderList, SetupApp
from workbench.tui.tour.app import TourWorkbench
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.editor.find_bar import FindBar
from workbench.tui.widgets.editor.problem_list import ProblemList
from workbench.tui.widgets.editor.yaml_editor import YamlEditor
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.log.prompt import LogPrompt
from workbench.tui.widgets.log.section_view import SectionLogView
from workbench.tui.widgets.pipelines_list import PipelinesList
from workbench.tui.widgets.runs_table import RunsTable
from workbench.tui.widgets.step_list import StepList
from workbench.tui.widgets.tests_list import TestsList
from workbench.tui.widgets.text_pane import TextPane

RESERVED = {
    "ctrl+q": "always quits the workbench",
    "ctrl+c": "always copies the mouse selection",
    "ctrl+p": "always opens the command palette",
    "tab": "always goes to the next part of the screen",
    "shift+tab": "always goes to the previous part of the screen",
}
_KEY_ALIASES = {
    "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown",
    "ctrl+i": "tab", "ctrl+m": "enter", "ctrl+[": "escape", "ctrl+space": "ctrl+@",
}  # fmt: skip
"""Aliases of keys, and keys that terminals report as another one."""
_KEY_NAMES = frozenset(key.value for key in Keys if key.value.isalnum() and len(key.value) > 1) - {"return", "ignore"}
_MODIFIERS = re.compile(r"(ctrl\+|alt\+|shift\+)+")


@dataclass(frozen=True)
class FocusScope:
    """A widget that can have the focus, with its ancestors, nearest first."""

    name: str
    chain: tuple[type[DOMNode], ...]
    modal: bool = False
    """Whether the actions of the app do not apply here."""


_LOG = (SectionLogView, LogPane, LogGrid, RunScreen)
FOCUS_SCOPES = (
    FocusScope("runs", (RunsTable, RunsScreen)),
    FocusScope("pipelines", (PipelinesList, RunsScreen)),
    FocusScope("graph", (DagView, RunScreen)),
    FocusScope("steps", (StepList, RunScreen)),
    FocusScope("log", _LOG),
    FocusScope("replay", (StepList, ReplayScreen)),
    FocusScope("find", (Input, LogPrompt), modal=True),
    FocusScope("editor", (YamlEditor, EditorScreen)),
    FocusScope("find in the editor", (Input, FindBar, EditorScreen), modal=True),
    FocusScope("editor's graph", (DagView, EditorScreen)),
    FocusScope("editor's problems", (ProblemList, EditorScreen)),
    FocusScope("text", (TextPane, DetailsScreen)),
    FocusScope("details", (ArtifactList, DetailsScreen)),
    FocusScope("tests", (TestsList, TestsScreen)),
    FocusScope("test", (TextPane, TestsScreen)),
    FocusScope("comparison", (ListView, CompareScreen)),
    FocusScope("cluster", (TextPane, ClusterScreen)),
    FocusScope("messages", (NotificationList, NotificationsScreen)),
    FocusScope("help", (HelpScreen,), modal=True),
    FocusScope("question", (ConfirmDialog,), modal=True),
    FocusScope("artifact", (SectionLogView, PreviewPane, PreviewScreen)),
    FocusScope("jump", (JumpScreen,), modal=True),
    FocusScope("secrets", (SecretList, SecretsScreen)),
    FocusScope("deliveries", (DeliveryList, DeliveriesScreen)),
    FocusScope("secret", (Input, SetSecretDialog), modal=True),
    FocusScope("choice", (ChoiceDialog,), modal=True),
    FocusScope("problems", (ProblemsDialog,), modal=True),
    FocusScope("parameters", (Input, ParamsDialog), modal=True),
    FocusScope("start", (ProviderList, SetupApp), modal=True),
    FocusScope("tour", (TourWorkbench,), modal=True),
)
_TITLES = {
    Workbench: "Anywhere", RunsScreen: "List of runs", RunScreen: "A run", EditorScreen: "Editor: file",
    DetailsScreen: "Details", CompareScreen: "Comparison", ClusterScreen: "Cluster", NotificationsScreen: "Messages",
    HelpScreen: "Help", ConfirmDialog: "A question", ChoiceDialog: "A choice", ProblemsDialog: "Problems of a pipeline",
    ParamsDialog: "Parameters", SetSecretDialog: "Value of a secret", SecretsScreen: "Secrets: screen",
    DeliveriesScreen: "Pushes: screen", TestsScreen: "Tests: screen",
    JumpScreen: "Jump mode",
    PreviewScreen: "An artifact", ReplayScreen: "A run that is played",
    SetupApp: "Start", TourWorkbench: "The tour of c8s demo",
    ListView: "Any list", SectionLogView: "Log: moving", LogPane: "Log: search, copy and save",
    LogGrid: "Several logs", YamlEditor: "Editor: text", NotificationList: "List of messages",
}  # fmt: skip


def resolve_keymap(entries: Mapping[Any, Any]) -> Keymap:
    """Resolve the config's `keys`: the valid keys, and problems with the others."""
    return build_keymap(entries, bound_actions(), key_name, reserved=RESERVED)


@lru_cache(maxsize=1)
def bound_actions() -> tuple[BoundAction, ...]:
    """Every action with its keys and scopes, and the keys that text fields reserve."""
    found: dict[str, BoundAction] = {}
    for place in FOCUS_SCOPES:
        text = place.chain[0] if issubclass(place.chain[0], (TextArea, Input)) else None
        for node in (*place.chain, *(() if place.modal else (Workbench,))):
            for binding in bindings_of(node):
                fixed = binding.id is None
                if fixed and text is None:
                    continue  # Scrolling and other bindings of Textual's own widgets.
                name = binding.id or binding.description.lower() or binding.action
                before = found.get(name)
                keys = tuple(one.key for one in Binding.make_bindings([binding]))
                if fixed and before is not None:
                    keys = (*before.keys, *keys)
                places = (before.scopes if before else frozenset()) | {place.name}
                typing = not fixed and node is not Workbench and (text is not None or bool(before and before.typing))
                found[name] = BoundAction(name, keys, places, typing, fixed)
    return tuple(found.values())


def bindings_of(node: type[DOMNode]) -> Iterator[Binding]:
    """The bindings of a class and its bases; those of Textual only for text fields."""
    for owner in node.__mro__:
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and (binding.id is not None or owner in (TextArea, Input)):
                yield binding


def key_name(written: str) -> str | None:
    """Textual's name of a key as written in the config; None if there is no such key.

    >>> key_name("?"), key_name("Ctrl+E"), key_name("shift+a"), key_name("F13"), key_name("strg+e")
    ('question_mark', 'ctrl+e', 'A', 'f13', None)
    """
    if len(written) == 1:
        return _character_name(written)
    lower = _KEY_ALIASES.get(written.lower(), written.lower())
    if lower in _KEY_NAMES or lower in ("space", "ctrl+@"):
        return lower
    match = _MODIFIERS.match(lower)
    if match is None:
        # The long name of a character, as the footer's documentation has it: question_mark, slash.
        char = format_key(lower) if re.fullmatch(r"[a-z_]{3,}", lower) else ""
        return lower if len(char) == 1 and char.isascii() else None
    modifiers, key = match.group(), written[match.end() :]
    base = key_name(key.lower() if "ctrl+" in modifiers else key) if key else None
    if base is None:
        return None
    if modifiers == "shift+" and len(base) == 1:
        return base.upper() if base.isalpha() else None
    ordered = "".join(f"{each}+" for each in ("alt", "ctrl", "shift") if f"{each}+" in modifiers)
    return _KEY_ALIASES.get(ordered + base, ordered + base)


def _character_name(char: str) -> str | None:
    """Textual's name of a character."""
    if not char.isprintable() or char == " ":
        return "space" if char == " " else None
    return next(iter(Binding.make_bindings([Binding(char, "")]))).key if char != "," else "comma"


def reference_table() -> str:
    """All actions as tables for the documentation, one for each part of a screen."""
    lines: list[str] = []
    seen: set[str] = set()
    owners: dict[type[DOMNode], None] = {Workbench: None, ListView: None}
    for place in FOCUS_SCOPES:
        owners |= dict.fromkeys(place.chain)
    for owner in owners:
        rows = []
        for cls in owner.__mro__:
            for binding in cls.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id is not None and binding.id not in seen:
                    seen.add(binding.id)
                    keys = " ".join(f"`{_config_spelling(one.key)}`" for one in Binding.make_bindings([binding]))
                    rows.append(f"| `{binding.id}` | {keys} | {binding.tooltip} |")
        if rows:
            title = _TITLES.get(owner) or str(getattr(owner, "HELP_TITLE", owner.__name__))
            lines += [f"### {title}", "", "| action | keys | what it does |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def _config_spelling(key: str) -> str:
    """A key as it is written in the config."""
    char = format_key(key)
    return char if len(char) == 1 and char.isascii() else key
