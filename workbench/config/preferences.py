"""What somebody likes the workbench to be like: the part `workbench` of `$XDG_CONFIG_HOME/c8s/config.yaml`.

    workbench:
      theme: c8s-light
      ascii: auto          # true, false, or by the terminal
      mouse: true
      keys: {run.rerun: ctrl+e}

A wrong entry costs its own effect only: it is told, and the rest holds. Contexts,
in the same file, are `workbench.config.contexts`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_KNOWN = ("theme", "ascii", "mouse", "keys")


@dataclass(frozen=True)
class Preferences:
    theme: str | None = None
    ascii: bool | None = None
    """None: as the terminal is."""
    mouse: bool = True
    keys: Mapping[Any, Any] = field(default_factory=dict)
    """As they are written; `workbench.session.keymap` checks them."""
    problems: tuple[str, ...] = ()
    """What is wrong with the file, each in a sentence."""


def read_preferences(path: Path) -> Preferences:
    """What the file says; without one, everything as it comes."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Preferences()
    except (OSError, UnicodeDecodeError) as error:
        return Preferences(problems=(f"{path} can't be read: {error}",))
    import yaml

    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        return Preferences(problems=(f"{path} is no YAML: {' '.join(str(error).split())}",))
    section = raw.get("workbench") if isinstance(raw, dict) else None
    return _parsed({} if section is None else section)


def _parsed(section: Any) -> Preferences:
    if not isinstance(section, dict):
        return Preferences(problems=("workbench: it is to be a map with " + ", ".join(_KNOWN),))
    problems: list[str] = []
    for name in section:
        if name not in _KNOWN:
            from difflib import get_close_matches

            near = get_close_matches(str(name), _KNOWN, n=1)
            problems.append(f"{name}: there is no such setting" + (f"; did you mean `{near[0]}`?" if near else ""))

    def value(name: str, right: tuple[type, ...], what: str) -> Any:
        found = section.get(name)
        if found is None or isinstance(found, right):
            return found
        problems.append(f"{name}: it is to be {what}")
        return None

    theme = value("theme", (str,), "the name of a theme")
    ascii_only = None if section.get("ascii") == "auto" else value("ascii", (bool,), "true, false or auto")
    mouse = value("mouse", (bool,), "true or false")
    keys = value("keys", (dict,), "a map from actions to keys")
    return Preferences(theme, ascii_only, True if mouse is None else mouse, keys or {}, tuple(problems))
