"""The command palette: every action of the screen it was called on, with its key, made from the bindings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.screen import Screen

from workbench.tui.screens.help import actions_of

if TYPE_CHECKING:
    from workbench.tui.app import Workbench


def palette_commands(app: Workbench, screen: Screen[object]) -> Iterator[SystemCommand]:
    """One for each action, also of the parts of the screen that have not the focus."""
    for title, node, binding in actions_of(screen):
        call = partial(app.run_action, binding.action, node)
        yield SystemCommand(f"{title}: {binding.description}", f"{binding.tooltip}  ({app.format_keys(binding)})", call)
