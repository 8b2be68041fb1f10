"""The pictures: where they are, and which sources decide what each shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "images"
DIGESTS = FOLDER / "sources.json"
"""The digest of the sources of each picture when it was taken."""

_TUI = "workbench/tui"
_WORKBENCH = (
    f"{_TUI}/app.tcss", f"{_TUI}/theme.py", f"{_TUI}/widgets/header.py", f"{_TUI}/widgets/key_footer.py",
    f"{_TUI}/widgets/dag/*.py", "workbench/dag/drawing.py",
)  # fmt: skip
_DASHBOARD = (
    "controller/dashboard/static/dashboard.css", "controller/dashboard/templates/base.html",
    "controller/dashboard/templates/macros.html",
)  # fmt: skip
_PROJECT = ("samples/wordcount/.c8s.yaml", "samples/wordcount/**/*.py", "tools/pictures/scenes.py")

SOURCES = {
    "workbench.svg": (
        *_WORKBENCH, *_PROJECT, f"{_TUI}/screens/runs.tcss", f"{_TUI}/widgets/runs_table.py", "samples/*.yaml",
    ),
    "failed-run.svg": (
        *_WORKBENCH, *_PROJECT, f"{_TUI}/screens/run/screen.tcss", f"{_TUI}/screens/run/heading.py",
        f"{_TUI}/widgets/step_list.py", f"{_TUI}/widgets/failure_panel.py",
    ),
    "editor.svg": (*_WORKBENCH, *_PROJECT, f"{_TUI}/screens/editor.tcss", f"{_TUI}/widgets/editor/*.py"),
    "tour.svg": (
        *_WORKBENCH, "tools/pictures/tour.py", f"{_TUI}/screens/run/screen.tcss", f"{_TUI}/screens/run/heading.py",
        f"{_TUI}/widgets/step_list.py", f"{_TUI}/widgets/failure_panel.py", f"{_TUI}/tour/bar.py",
        "workbench/tour/hints.py", "samples/bookshop/.c8s.yaml", "samples/bookshop/**/*.py",
    ),
    "dashboard-run.png": (
        *_DASHBOARD, *_PROJECT, "controller/dashboard/templates/run.html", "controller/dashboard/views/graph_svg.py",
        "controller/dashboard/views/run_view.py",
    ),
    "dashboard-log.png": (
        *_DASHBOARD, *_PROJECT, "controller/dashboard/templates/step.html", "controller/dashboard/views/log_*.py",
    ),
}  # fmt: skip
"""What decides how a picture looks: styles, templates, what draws, and the sample that is shown. What only moves data
is left out: a picture need not be taken again for each change of the program."""


def digest(picture: str) -> str:
    """SHA-256 over the sources of a picture; blank lines and lines of comments do not count."""
    found = hashlib.sha256()
    for path in _files(SOURCES[picture]):
        found.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
        for line in path.read_text().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                found.update(line.encode() + b"\n")
    return found.hexdigest()


def outdated() -> list[str]:
    """The pictures whose sources have changed since they were taken, or that were never taken."""
    recorded = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    return [name for name in SOURCES if not (FOLDER / name).exists() or recorded.get(name) != digest(name)]


def record() -> None:
    """Note that all pictures were taken now."""
    DIGESTS.write_text(json.dumps({name: digest(name) for name in SOURCES}, indent=2) + "\n")


def _files(patterns: Iterable[str]) -> list[Path]:
    found = []
    for pattern in patterns:
        matching = sorted(ROOT.glob(pattern))
        if not matching:
            raise FileNotFoundError(f"no file matches {pattern}, which a picture shows (tools/pictures/images.py)")
        found += matching
    return found
