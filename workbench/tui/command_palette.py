"""The command palette: every action of the current screen with its keys, generated from the bindings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from workbench.tui.keys import format_keys
from workbench.tui.screens.help import actions_of


def palette_commands(app: App[Any], screen: Screen[object]) -> Iterator[SystemCommand]:
    """A command for each action, including those of widgets without the focus."""
    for title, node, binding in actions_of(screen):
        call = partial(app.run_action, binding.action, node)
        yield SystemCommand(
            f"{title}: {binding.description}", f"{binding.tooltip}  ({format_keys(app, binding)})", call
        )
