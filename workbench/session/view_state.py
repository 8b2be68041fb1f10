"""The view of the workbench, saved for each folder and restored at the next start.

There is one small JSON file for each folder. An invalid file is reported and
ignored. It holds the names of runs and files, not their content.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from controller.files import write_private

_MAX_BYTES = 64 * 1024
_MAX_FILES = 200
"""Maximum number of folders with a saved view."""

Layout = Mapping[str, str | int | bool]

_State = TypeVar("_State")


@dataclass(frozen=True)
class SavedView:
    """The saved view. `layout` holds the layout state of each screen."""

    place: str = ""
    """The controller of `run`."""
    screen: str = "runs"
    """`runs`, `run` or `editor`."""
    run: str | None = None
    file: str | None = None
    layout: Mapping[str, Layout] = field(default_factory=dict)


@dataclass(frozen=True)
class ThemeChoice:
    """The chosen theme. `over` is the config's theme at that time; if the config changes, its theme applies."""

    name: str
    over: str | None


def workbench_folder() -> Path:
    """`$XDG_STATE_HOME/c8s/_workbench`, or the platform's equivalent; not a valid sandbox name."""
    return Path(platformdirs.user_state_dir("c8s")) / "_workbench"


class ViewState:
    """The saved view of one folder, and the theme."""

    def __init__(self, folder: Path, about: Path) -> None:
        self._folder = folder
        name = hashlib.sha256(os.fsencode(about.absolute())).hexdigest()[:32]
        self._views = folder / "views"
        self._view, self._theme = self._views / f"{name}.json", folder / "theme.json"

    def load_view(self) -> tuple[SavedView, str | None]:
        """The saved view, and a message if the file is invalid."""
        return _read(self._view, _view, SavedView())

    def load_theme(self) -> tuple[ThemeChoice | None, str | None]:
        return _read(self._theme, _choice, None)

    def save_view(self, view: SavedView) -> None:
        """Raises OSError."""
        _write(self._view, asdict(view), self._folder)
        views = sorted(self._views.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for old in views[:-_MAX_FILES]:
            old.unlink(missing_ok=True)

    def save_theme(self, choice: ThemeChoice) -> None:
        """Raises OSError."""
        _write(self._theme, asdict(choice), self._folder)


def _read(path: Path, parsed: Callable[[Any], _State], default: _State) -> tuple[_State, str | None]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        return parsed(json.loads(data)), None
    except FileNotFoundError:
        return default, None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return default, f"{path} is invalid ({type(error).__name__}: {error}); it is ignored."


def _view(raw: Any) -> SavedView:
    screen = raw["screen"]
    if screen not in ("runs", "run", "editor"):
        raise ValueError("an unknown screen")
    layout = {
        _text(name): {_text(key): value for key, value in each.items() if isinstance(value, (str, int, bool))}
        for name, each in raw["layout"].items()
    }
    return SavedView(_text(raw["place"]), screen, _maybe(raw["run"]), _maybe(raw["file"]), layout)


def _choice(raw: Any) -> ThemeChoice | None:
    return ThemeChoice(_text(raw["name"]), _maybe(raw["over"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a string")
    return value


def _maybe(value: Any) -> str | None:
    return None if value is None else _text(value)


def _write(path: Path, raw: Mapping[str, Any], root: Path) -> None:
    for folder in (root, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, json.dumps(raw))
