"""Generates the part of docs/keys.md below `## Actions` from the key bindings: `python -m tools.keys_reference`."""

from __future__ import annotations

from pathlib import Path

from workbench.tui import keybindings

PAGE = Path(__file__).parents[1] / "docs" / "keys.md"
HEADING = "## Actions\n\n"


def render(page: str) -> str:
    """The page with a current list of actions."""
    head, heading, _ = page.partition(HEADING)
    return f"{head}{heading}{keybindings.reference_table().rstrip()}\n"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
