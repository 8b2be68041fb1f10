"""The picture of the tour: its first run has failed, and the bar says what to press."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

from tools.pictures.camera import COLUMNS, Camera
from tools.pictures.client import FixedTimesClient
from tools.pictures.fixed_times import created_at
from tools.pictures.images import ROOT
from tools.pictures.project import SANDBOX, Project
from workbench.sandbox import Sandboxes
from workbench.tour.project import TourProject
from workbench.tui.app import WorkbenchOptions
from workbench.tui.services.interfaces import OnConnectionError
from workbench.tui.services.launcher import FileLauncher
from workbench.tui.tour.app import TourOptions, TourWorkbench

_PORT = 18_091
_ROWS = 32
_AFTER = timedelta(minutes=1)
"""From the creation of the run to the time that is shown."""


async def shoot_tour(project: Project) -> None:
    """Run the project of the tour, and take its picture."""
    tour = TourProject(project.folder.parent / "bookshop", ROOT / "samples" / "bookshop")
    tour.create(_PORT)
    os.chdir(tour.folder)
    project.run(code=1)
    now = created_at(len(project.runs) - 1) + _AFTER

    def shell(run: str, step: str, container: str) -> Sequence[str]:
        return ("c8s", "shell", run, step)

    async with Sandboxes().attach(SANDBOX) as endpoint:

        def connect(on_error: OnConnectionError) -> FixedTimesClient:
            return FixedTimesClient(endpoint, project.runs, on_error)

        options = WorkbenchOptions(
            endpoint_label="demo",
            launcher=FileLauncher(tour.pipeline),
            open_run=project.runs[-1],
            now=lambda: now,
            shell=shell,
        )
        app = TourWorkbench(connect, options, tour=TourOptions(tour))
        async with app.run_test(size=(COLUMNS, _ROWS), notifications=True) as pilot:
            camera = Camera(app, pilot)
            await camera.see("ZeroDivisionError", r"edit bookshop/prices\.py", "T shows which")
            await camera.show_failing_line()
            await camera.see("T shows which")
            await camera.take("tour")
