"""The command palette: every action of the current screen with its keys, generated from the bindings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.command import CommandPalette
from textual.screen import Screen

from workbench.tui.boundary import ErrorBoundary
from workbench.tui.keys import format_keys
from workbench.tui.screens.help import actions_of


class ActionPalette(ErrorBoundary, CommandPalette):
    """Textual's palette, without its errors while it is closed or has no commands yet."""

    def _action_command_list(self, action: str) -> None:
        # Its list fails on a page up or down between a change of its commands and their layout.
        with suppress(KeyError):
            super()._action_command_list(action)


def palette_commands(app: App[Any], screen: Screen[object]) -> Iterator[SystemCommand]:
    """A command for each action, including those of widgets without the focus."""
    for title, node, binding in actions_of(screen):
        call = partial(app.run_action, binding.action, node)
        yield SystemCommand(
            f"{title}: {binding.description}", f"{binding.tooltip}  ({format_keys(app, binding)})", call
        )
