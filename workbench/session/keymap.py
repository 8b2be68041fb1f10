"""The keys somebody gave to actions in the config: which of them can be taken, and what is wrong with the rest.

An entry that can't be taken leaves its action on the key it has; what is said
about it names the entry, the reason and what would be right. It knows neither
the config file nor the terminal: what a key is called is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class BoundAction:
    """An action with its keys. `places` are the parts of screens in which it can be called."""

    id: str
    keys: tuple[str, ...]
    scopes: frozenset[str]
    typing: bool = False
    """Whether letters are text where it is called."""
    fixed: bool = False
    """It belongs to a text field and keeps its keys, which what is called there can't have."""


@dataclass(frozen=True)
class Keymap:
    keys: Mapping[str, str]
    """For each action with keys of its own these, separated by commas."""
    problems: tuple[str, ...]


def build_keymap(
    entries: Mapping[Any, Any],
    bindings: Sequence[BoundAction],
    key_name: Callable[[str], str | None],
    *,
    reserved: Mapping[str, str],
) -> Keymap:
    """Check what the config says.

    Args:
        entries: for each action a key, or a list of keys.
        key_name: the name under which the terminal reports a key as people write it; None for no key.
        reserved: keys that can't be given away, with what they do.
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
        action, said = clash
        del taken[action]
        problems.append(f"keys: {action}: {said}")
    return Keymap({action: ",".join(keys) for action, keys in taken.items()}, tuple(problems))


class _RefusedError(Exception):
    """An entry can't be taken; the message says why."""


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
        raise _RefusedError("it takes a key such as ctrl+e or f6, or a list of keys")
    found = []
    for key in written:
        name = key_name(key)
        if name is None:
            raise _RefusedError(f"`{key}` is no key; write it like e, ctrl+e, f6, shift+tab or ?")
        if name in reserved:
            raise _RefusedError(f"`{key}` {reserved[name]}")
        if known[action].typing and "+" not in name and not _is_named(name):
            raise _RefusedError(f"`{key}` is text where this is called; take one with ctrl or a function key")
        found.append(name)
    return tuple(dict.fromkeys(found))


_CONTROLS = ("enter", "tab", "escape", "up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert")


def _is_named(key: str) -> bool:
    """Whether a key without modifiers writes no character."""
    return key in _CONTROLS or (key[:1] == "f" and key[1:].isdigit())


def _clash(taken: Mapping[str, tuple[str, ...]], bindings: Sequence[BoundAction]) -> tuple[str, str] | None:
    """The last entry whose key has another meaning somewhere where it can be called."""
    owners: dict[str, list[BoundAction]] = {}
    for bound in bindings:
        for key in taken.get(bound.id, bound.keys):
            owners.setdefault(key, []).append(bound)
    mine = {bound.id: bound for bound in bindings}
    for action in reversed(list(taken)):
        # A key that it has had from the start clashes no more than before.
        for key in (key for key in taken[action] if key not in mine[action].keys):
            for other in owners[key]:
                if other.id == action or not other.scopes & mine[action].scopes:
                    continue
                if not other.fixed:
                    return action, f"`{key}` is the key of `{other.id}` there; give that one another key, too"
                if mine[action].typing:
                    return action, f"`{key}` belongs to the text there ({other.id}); take another one"
    return None
