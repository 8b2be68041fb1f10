"""Labels of keys, as the user has configured them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from textual.app import App
from textual.binding import Binding


@runtime_checkable
class HasCustomKeys(Protocol):
    """An app whose user may have given other keys to actions."""

    custom_keys: Mapping[str, str]
    """For each action with keys of its own these, separated by commas."""


def key_label(app: App[Any], action: str, default: str) -> str:
    """The label of an action's first key for use in a sentence; `default` when the user has not changed it."""
    custom = app.custom_keys.get(action, "").partition(",")[0] if isinstance(app, HasCustomKeys) else ""
    return app.get_key_display(Binding(custom, "")) if custom else default


def format_keys(app: App[Any], binding: Binding) -> str:
    """The labels of all keys of a binding, separated by spaces."""
    keys = app.custom_keys.get(binding.id or "", binding.key) if isinstance(app, HasCustomKeys) else binding.key
    return " ".join(app.get_key_display(one) for one in Binding.make_bindings([Binding(keys, "")]))
