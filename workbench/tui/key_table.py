"""One table of all keys and what they do on each screen, for the documentation; a test keeps their meanings apart."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.keys import format_key

from workbench.tui.app import Workbench
from workbench.tui.keybindings import FOCUS_SCOPES, FocusScope, bindings_of

PLACES = {
    "list of runs": ("runs", "pipelines"),
    "graph, steps": ("graph", "steps"),
    "log": ("log",),
    "details and others": ("text", "details", "comparison", "cluster", "messages", "secrets", "deliveries", "artifact"),
    "editor": ("editor", "editor's graph", "editor's problems"),
}
"""The columns of the table: parts of screens by their focus scopes."""
SHARED_KEYS = {
    "enter": "open what is under the cursor",
    "escape": "back",
    "backspace": "back",
    "slash": "find or filter",
    "y": "copy",
    "Y": "copy all of it",
    "v": "another view",
    "z": "fold here",
    "Z": "fold all",
    "space": "page down, or fold a matrix",
    "o": "open in another program",
    "ctrl+s": "save to a file",
    "c": "container",
    "s": "follow",
    "plus": "add",
    "D": "delete (asks first)",
    "delete": "delete (asks first)",
    "K": "open the secrets, and leave them",
    "P": "open the pushes, and leave them",
    "T": "open the tests, and leave them",
    "F": "run again what failed",
    "M": "run what is left on the current files",
    "d": "open the details, and leave them",
    "C": "open the cluster status, and leave it",
    "H": "open the message history, and leave it",
    "f9": "open the message history, and leave it",
}
"""Keys with several actions, and what these have in common. Every other key has one action."""
_MOTIONS = frozenset(
    ("up", "down", "left", "right", "home", "end", "pageup", "pagedown", "h", "j", "k", "l", "g", "G",
     "ctrl+u", "ctrl+d", "ctrl+b", "ctrl+f")
)  # fmt: skip
"""They move, everywhere in the same direction."""


def actions_by_key(scopes: Iterable[FocusScope] = FOCUS_SCOPES) -> dict[str, dict[str, Binding]]:
    """For each key that is not a motion: the action that it has in each scope, `anywhere` for that of the app."""
    found: dict[str, dict[str, Binding]] = {}
    for scope in scopes:
        if scope.modal:
            continue
        for node in scope.chain:
            for binding in bindings_of(node):
                for one in Binding.make_bindings([binding]):
                    if binding.id is not None and one.key not in _MOTIONS:
                        # The widget with the focus gets a key before its ancestors.
                        found.setdefault(one.key, {}).setdefault(scope.name, binding)
    for binding in bindings_of(Workbench):
        for one in Binding.make_bindings([binding]):
            found.setdefault(one.key, {})["anywhere"] = binding
    return found


def key_table() -> str:
    """The table as Markdown, keys in alphabetical order."""
    rows = ["| key | anywhere | " + " | ".join(PLACES) + " |", "| --- " * (len(PLACES) + 2) + "|"]
    actions = actions_by_key()
    for key in sorted(actions, key=lambda key: (len(format_key(key)) > 1, format_key(key).lower(), key)):
        places = actions[key]
        cells = [places["anywhere"].description if "anywhere" in places else ""]
        for scopes in PLACES.values():
            named = dict.fromkeys(places[scope].description for scope in scopes if scope in places)
            cells.append(" / ".join(named))
        if any(cells):
            rows.append(f"| `{_spelling(key)}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _spelling(key: str) -> str:
    char = format_key(key)
    return char.replace("|", "\\|") if len(char) == 1 and char.isascii() else key
