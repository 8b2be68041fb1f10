"""The part of docs/keys.md below `## Actions`, from the key bindings; `tools.generate` writes it."""

from __future__ import annotations

from pathlib import Path

from workbench.tui import key_table, keybindings

PAGE = Path(__file__).parents[1] / "docs" / "keys.md"
HEADING = "## Actions\n\n"


def render(page: str) -> str:
    """The page with a current list of actions."""
    head, heading, _ = page.partition(HEADING)
    return f"{head}{heading}{tables()}\n"


def tables() -> str:
    """One table of all keys, and a table of the actions of each part of a screen."""
    shared = ", ".join(f"`{key}` ({meaning})" for key, meaning in key_table.SHARED_KEYS.items())
    note = f"These keys have several actions that are alike: {shared}."
    every = f"### All keys\n\n{key_table.key_table()}\n\n{note} Keys that only move a cursor are not listed here."
    return f"{every}\n\n{keybindings.reference_table().rstrip()}"
