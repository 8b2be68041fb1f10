"""The user's preferences: the part `workbench` of `$XDG_CONFIG_HOME/c8s/config.yaml`.

    workbench:
      theme: c8s-light
      ascii: auto          # true, false, or by the terminal
      mouse: true
      notify: [bell, title]  # also osc9, osc777; when a run that was started or opened here ends
      keys: {run.rerun: ctrl+e}
      runtime: auto        # docker, podman, process: what runs the steps of a sandbox that is started here

An invalid entry is reported and ignored; the other entries apply. Contexts, in the
same file, are in `workbench.config.contexts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREFERENCES = ("theme", "ascii", "mouse", "notify", "keys", "runtime", "runtimeFiles")
RUNTIMES = ("auto", "docker", "podman", "process")
RUNTIME_FILES = ("auto", "shared", "engine")
NOTIFY_WAYS = ("bell", "osc9", "osc777", "title")
"""How the workbench can say that a run has ended; `osc9` and `osc777` are desktop notifications."""


@dataclass(frozen=True)
class Preferences:
    theme: str | None = None
    ascii: bool | None = None
    """None: depends on the terminal."""
    mouse: bool = True
    keys: Mapping[Any, Any] = field(default_factory=dict)
    """Unchecked; `workbench.session.keymap` checks them."""
    notify: tuple[str, ...] = ("bell", "title")
    """Of `NOTIFY_WAYS`."""
    runtime: str | None = None
    """What runs the steps of a sandbox that is started here, one of `RUNTIMES`; None: what is there."""
    runtime_files: str | None = None
    """Whose disk has the files of its steps, one of `RUNTIME_FILES`; None: what is possible."""
    problems: tuple[str, ...] = ()
    """One message for each error in the file."""


def read_preferences(path: Path) -> Preferences:
    """The preferences of the file; the defaults if there is no file."""
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
        return Preferences(problems=(f"{path} is not valid YAML: {' '.join(str(error).split())}",))
    section = raw.get("workbench") if isinstance(raw, dict) else None
    return _parsed({} if section is None else section)


def _parsed(section: Any) -> Preferences:
    if not isinstance(section, dict):
        return Preferences(problems=("workbench: must be a map with " + ", ".join(PREFERENCES),))
    problems: list[str] = []
    for name in section:
        if name not in PREFERENCES:
            from difflib import get_close_matches

            near = get_close_matches(str(name), PREFERENCES, n=1)
            problems.append(f"{name}: there is no such setting" + (f"; did you mean `{near[0]}`?" if near else ""))

    def value(name: str, types: tuple[type, ...], expected: str) -> Any:
        found = section.get(name)
        if found is None or isinstance(found, types):
            return found
        problems.append(f"{name}: must be {expected}")
        return None

    theme = value("theme", (str,), "the name of a theme")
    ascii_only = None if section.get("ascii") == "auto" else value("ascii", (bool,), "true, false or auto")
    mouse = value("mouse", (bool,), "true or false")
    keys = value("keys", (dict,), "a map from actions to keys")
    notify = value("notify", (list,), f"a list of {', '.join(NOTIFY_WAYS)}")
    runtime = value("runtime", (str,), f"one of {', '.join(RUNTIMES)}")
    if runtime is not None and runtime not in RUNTIMES:
        problems.append(f"runtime: must be one of {', '.join(RUNTIMES)}")
        runtime = None
    files = value("runtimeFiles", (str,), f"one of {', '.join(RUNTIME_FILES)}")
    if files is not None and files not in RUNTIME_FILES:
        problems.append(f"runtimeFiles: must be one of {', '.join(RUNTIME_FILES)}")
        files = None
    if notify is not None and not all(way in NOTIFY_WAYS for way in notify):
        problems.append(f"notify: must be a list of {', '.join(NOTIFY_WAYS)}")
        notify = [way for way in notify if way in NOTIFY_WAYS]
    return Preferences(
        theme=theme,
        ascii=ascii_only,
        mouse=True if mouse is None else mouse,
        keys=keys or {},
        notify=Preferences.notify if notify is None else tuple(notify),
        runtime=runtime,
        runtime_files=files,
        problems=tuple(problems),
    )
