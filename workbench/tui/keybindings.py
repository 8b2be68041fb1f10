"""All actions that have keys, and where they can be called: what the config's `keys` may name.

Made from the bindings themselves. Importing it imports every screen, so it is
done only for who has keys of their own, and for the documentation.
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

from workbench.session.keymap import Bound, Keymap, keymap
from workbench.tui.app import Workbench
from workbench.tui.screens.cluster import ClusterScreen
from workbench.tui.screens.compare import CompareScreen
from workbench.tui.screens.details import ArtifactList, DetailsScreen
from workbench.tui.screens.dialogs import Confirm, Problems
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.help import HelpScreen
from workbench.tui.screens.notifications import MessagesList, MessagesScreen
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.screens.run import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.setup.app import StartApp, Ways
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.editor.problem_list import ProblemList
from workbench.tui.widgets.editor.yaml_editor import YamlEditor
from workbench.tui.widgets.list_view import Rows
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.log.prompt import LogField
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.pipelines_list import PipelinesList
from workbench.tui.widgets.runs_table import RunsTable
from workbench.tui.widgets.step_list import StepList

RESERVED = {
    "ctrl+q": "leaves the workbench, always",
    "ctrl+c": "copies what is selected with the mouse, always",
    "ctrl+p": "opens the command palette, always",
    "tab": "goes to the next part of the screen, always",
    "shift+tab": "goes to the part before, always",
}
_SPELLED = {
    "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown",
    "ctrl+i": "tab", "ctrl+m": "enter", "ctrl+[": "escape", "ctrl+space": "ctrl+@",
}  # fmt: skip
"""Other names of keys, and those that terminals report as another one."""
_NAMED = frozenset(key.value for key in Keys if key.value.isalnum() and len(key.value) > 1) - {"return", "ignore"}
_MODIFIED = re.compile(r"(ctrl\+|alt\+|shift\+)+")


@dataclass(frozen=True)
class Place:
    """A part of a screen that can have the focus, with what is around it, nearest first."""

    name: str
    chain: tuple[type[DOMNode], ...]
    modal: bool = False
    """Whether what can be done anywhere else can't be done here."""


_LOG = (LogView, LogPane, LogGrid, RunScreen)
PLACES = (
    Place("runs", (RunsTable, RunsScreen)),
    Place("pipelines", (PipelinesList, RunsScreen)),
    Place("graph", (DagView, RunScreen)),
    Place("steps", (StepList, RunScreen)),
    Place("log", _LOG),
    Place("find", (Input, LogField), modal=True),
    Place("editor", (YamlEditor, EditorScreen)),
    Place("editor's graph", (DagView, EditorScreen)),
    Place("editor's problems", (ProblemList, EditorScreen)),
    Place("details", (ArtifactList, DetailsScreen)),
    Place("comparison", (Rows, CompareScreen)),
    Place("cluster", (ClusterScreen,)),
    Place("messages", (MessagesList, MessagesScreen)),
    Place("help", (HelpScreen,), modal=True),
    Place("question", (Confirm,), modal=True),
    Place("problems", (Problems,), modal=True),
    Place("parameters", (Input, ParamsDialog), modal=True),
    Place("start", (Ways, StartApp), modal=True),
)
_TITLES = {
    Workbench: "Anywhere", RunsScreen: "List of runs", RunScreen: "A run", EditorScreen: "Editor",
    DetailsScreen: "Details", CompareScreen: "Comparison", ClusterScreen: "Cluster", MessagesScreen: "Messages",
    HelpScreen: "Help", Confirm: "A question", Problems: "Problems of a pipeline", ParamsDialog: "Parameters",
    StartApp: "Start", Rows: "Any list",
}  # fmt: skip


def chosen_keys(entries: Mapping[Any, Any]) -> Keymap:
    """What of the config's `keys` can be taken."""
    return keymap(entries, bound(), key_name, reserved=RESERVED)


@lru_cache(maxsize=1)
def bound() -> tuple[Bound, ...]:
    """Every action with its keys and places, and the keys that text fields have for themselves."""
    found: dict[str, Bound] = {}
    for place in PLACES:
        text = place.chain[0] if issubclass(place.chain[0], (TextArea, Input)) else None
        for node in (*place.chain, *(() if place.modal else (Workbench,))):
            for binding in bindings_of(node):
                fixed = binding.id is None
                if fixed and text is None:
                    continue  # Scrolling and the like, which no action of ours is called beside.
                name = binding.id or binding.description.lower() or binding.action
                before = found.get(name)
                keys = tuple(one.key for one in Binding.make_bindings([binding]))
                if fixed and before is not None:
                    keys = (*before.keys, *keys)
                places = (before.places if before else frozenset()) | {place.name}
                typing = not fixed and node is not Workbench and (text is not None or bool(before and before.typing))
                found[name] = Bound(name, keys, places, typing, fixed)
    return tuple(found.values())


def bindings_of(node: type[DOMNode]) -> Iterator[Binding]:
    """The bindings of a class and of those it is made from; textual's own only of text fields."""
    for owner in node.__mro__:
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and (binding.id is not None or owner in (TextArea, Input)):
                yield binding


def key_name(written: str) -> str | None:
    """The name by which Textual knows a key that somebody has written; None when it is none.

    >>> key_name("?"), key_name("Ctrl+E"), key_name("shift+a"), key_name("F13"), key_name("strg+e")
    ('question_mark', 'ctrl+e', 'A', 'f13', None)
    """
    if len(written) == 1:
        return _one(written)
    lower = _SPELLED.get(written.lower(), written.lower())
    if lower in _NAMED or lower in ("space", "ctrl+@"):
        return lower
    match = _MODIFIED.match(lower)
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
    return _SPELLED.get(ordered + base, ordered + base)


def _one(char: str) -> str | None:
    """A character's name."""
    if not char.isprintable() or char == " ":
        return "space" if char == " " else None
    return next(iter(Binding.make_bindings([Binding(char, "")]))).key if char != "," else "comma"


def reference() -> str:
    """All actions as a table for the documentation."""
    lines: list[str] = []
    seen: set[str] = set()
    owners: dict[type[DOMNode], None] = {Workbench: None, Rows: None}
    for place in PLACES:
        owners |= dict.fromkeys(place.chain)
    for owner in owners:
        rows = []
        for cls in owner.__mro__:
            for binding in cls.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id is not None and binding.id not in seen:
                    seen.add(binding.id)
                    keys = " ".join(f"`{_spelled(one.key)}`" for one in Binding.make_bindings([binding]))
                    rows.append(f"| `{binding.id}` | {keys} | {binding.tooltip} |")
        if rows:
            title = _TITLES.get(owner) or str(getattr(owner, "HELP_TITLE", owner.__name__))
            lines += [f"### {title}", "", "| action | keys | what it does |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def _spelled(key: str) -> str:
    """A key as one would write it in the config."""
    char = format_key(key)
    return char if len(char) == 1 and char.isascii() else key
