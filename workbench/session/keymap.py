"""Checks the user's key bindings: the valid ones apply, the invalid ones are reported.

An action with an invalid entry keeps its default keys. Reading the config file and
the names of keys is up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class BoundAction:
    """An action with its keys. `scopes` are the parts of screens in which it is available."""

    id: str
    keys: tuple[str, ...]
    scopes: frozenset[str]
    typing: bool = False
    """Whether letters are typed as text in its scope."""
    fixed: bool = False
    """Whether it belongs to a text field, whose keys cannot be changed or reused there."""


@dataclass(frozen=True)
class Keymap:
    keys: Mapping[str, str]
    """The comma-separated keys of each customized action."""
    problems: tuple[str, ...]


def build_keymap(
    entries: Mapping[Any, Any],
    bindings: Sequence[BoundAction],
    key_name: Callable[[str], str | None],
    *,
    reserved: Mapping[str, str],
) -> Keymap:
    """Check the entries of the config.

    Args:
        entries: a key, or a list of keys, for each action.
        key_name: returns the terminal's name of a key as the user writes it; None if it is not a key.
        reserved: keys that cannot be assigned, with their function.
    """
    problems: list[str] = []
    taken: dict[str, tuple[str, ...]] = {}
    known = {bound.id: bound for bound in bindings if not bound.fixed}
    for action, value in entries.items():
        try:
            taken[str(action)] = _keys(action, value, known, key_name, reserved)
        except _RefusedError as refusal:
            problems.append(f"keys: {action}: {refusal}")
    while (clash := _clash(taken, bindings)) is not None:
        action, message = clash
        del taken[action]
        problems.append(f"keys: {action}: {message}")
    return Keymap({action: ",".join(keys) for action, keys in taken.items()}, tuple(problems))


class _RefusedError(Exception):
    """An entry is invalid; the message says why."""


def _keys(
    action: Any,
    value: Any,
    known: Mapping[str, BoundAction],
    key_name: Callable[[str], str | None],
    reserved: Mapping[str, str],
) -> tuple[str, ...]:
    if action not in known:
        near = get_close_matches(str(action), known, n=1)
        raise _RefusedError("there is no such action" + (f"; did you mean `{near[0]}`?" if near else ""))
    # A digit is a number in YAML.
    written = [str(key) if type(key) is int else key for key in (value if isinstance(value, list) else [value])]
    if not written or not all(isinstance(key, str) and key for key in written):
        raise _RefusedError("expected a key such as ctrl+e or f6, or a list of keys")
    found = []
    for key in written:
        name = key_name(key)
        if name is None:
            raise _RefusedError(f"`{key}` is not a key; examples are e, ctrl+e, f6, shift+tab and ?")
        if name in reserved:
            raise _RefusedError(f"`{key}` {reserved[name]}")
        if known[action].typing and "+" not in name and not _is_named(name):
            raise _RefusedError(f"`{key}` is typed as text there; use a key with ctrl or a function key")
        found.append(name)
    return tuple(dict.fromkeys(found))


_CONTROLS = ("enter", "tab", "escape", "up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert")


def _is_named(key: str) -> bool:
    """Whether a key without modifiers types no character."""
    return key in _CONTROLS or (key[:1] == "f" and key[1:].isdigit())


def _clash(taken: Mapping[str, tuple[str, ...]], bindings: Sequence[BoundAction]) -> tuple[str, str] | None:
    """The last entry whose key has another action in one of its scopes, with the message."""
    owners: dict[str, list[BoundAction]] = {}
    for bound in bindings:
        for key in taken.get(bound.id, bound.keys):
            owners.setdefault(key, []).append(bound)
    mine = {bound.id: bound for bound in bindings}
    for action in reversed(list(taken)):
        # Default keys of the action do not conflict.
        for key in (key for key in taken[action] if key not in mine[action].keys):
            for other in owners[key]:
                if other.id == action or not other.scopes & mine[action].scopes:
                    continue
                if not other.fixed:
                    return action, f"`{key}` is the key of `{other.id}` there; assign another key to that action, too"
                if mine[action].typing:
                    return action, f"`{key}` is a key of the text field ({other.id}); use another one"
    return None
