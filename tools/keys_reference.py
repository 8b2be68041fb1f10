"""The part of docs/keys.md below `## Actions`, from the key bindings; `tools.generate` writes it."""

from __future__ import annotations

from pathlib import Path

from workbench.tui import keybindings

PAGE = Path(__file__).parents[1] / "docs" / "keys.md"
HEADING = "## Actions\n\n"


def render(page: str) -> str:
    """The page with a current list of actions."""
    head, heading, _ = page.partition(HEADING)
    return f"{head}{heading}{keybindings.reference_table().rstrip()}\n"
