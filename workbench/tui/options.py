"""Options that all apps of the terminal UI have: preferences, keymap, and where state is saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workbench.config.preferences import Preferences
from workbench.session.keymap import Keymap
from workbench.session.view_state import ViewState


@dataclass(frozen=True)
class AppOptions:
    """The user's preferences and the files in which the apps keep their state."""

    preferences: Preferences = field(default_factory=Preferences)
    ascii_only: bool = False
    """Draw ASCII characters only."""
    view_state: ViewState | None = None
    """The saved view and theme; None saves and restores nothing."""
    reports_folder: Path | None = None
    """The folder of the crash reports; None writes none."""
    read_only: bool = False
    """Whether actions that change something are refused."""
    keymap: Keymap = field(default_factory=lambda: Keymap({}, ()))
    """The keys from the config, resolved against the bindings."""


DEFAULT_OPTIONS = AppOptions()


def is_writing(node: object, action: str) -> bool:
    """Whether an action of a node changes something: its class, or a base of it, lists it in `WRITING_ACTIONS`."""
    return any(action in vars(each).get("WRITING_ACTIONS", ()) for each in type(node).__mro__)
