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

_SNAPSHOTS = "tests/tui/__snapshots__/test_snapshots"
"""Pictures of the workbench's screens that its tests compare: they change when what is drawn does, and only then."""
_CARD = (f"{_SNAPSHOTS}/test_failure_card?140x45?.svg", "workbench/tui/widgets/failure_panel.py")
_PROJECT = ("samples/wordcount/.c8s.yaml", "samples/wordcount/**/*.py", "tools/pictures/scenes.py")
_PAGE = tuple(f"controller/dashboard/{name}" for name in ("static/dashboard.css", "templates/base.html"))

SOURCES = {
    "workbench.svg": (f"{_SNAPSHOTS}/test_runs?140x45?.svg", "samples/fan-out.yaml", *_PROJECT),
    "failed-run.svg": (*_CARD, *_PROJECT),
    "editor.svg": ("workbench/tui/screens/editor.tcss", "workbench/tui/theme.py", *_PROJECT),
    "tour.svg": (
        *_CARD, "workbench/tui/tour/bar.py", "samples/bookshop/.c8s.yaml", "samples/bookshop/**/*.py",
        "tools/pictures/tour.py",
    ),
    "dashboard-run.png": (
        *_PAGE, "controller/dashboard/templates/macros.html", "controller/dashboard/templates/run.html", *_PROJECT,
    ),
    "dashboard-log.png": (*_PAGE, "controller/dashboard/templates/step.html", *_PROJECT),
}  # fmt: skip
"""What decides how a picture looks: styles, templates, snapshots, and the sample that is shown.

Modules that draw are left out, but for the card of a failure and the bar of the tour: most of their changes can't be
seen, and those that can are in the snapshots.
"""


def digest(picture: str) -> str:
    """SHA-256 over the sources of a picture; blank lines, and lines of comments in Python and YAML, do not count."""
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
