"""The scenes of random use, and those with another app than the usual workbench: read-only, and the tour."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.support.tui.fake_tour import FakeTourApp
from tests.support.tui.fakes import NOW, FakeLauncher, hello, run, step
from tests.support.tui.random_scene import (
    DEFINITION,
    PIPELINE,
    RandomWorkbench,
    Scene,
    ScriptedController,
    bundle_scene,
    empty_scene,
    fill_controller,
    sample_runs,
    start_scene,
    workbench_scene,
)
from workbench.client import Run
from workbench.client.models import Reused, SavedWorkspace
from workbench.pipeline_file.load import LintOutcome
from workbench.tour.project import TourProject
from workbench.tui.app import WorkbenchOptions
from workbench.tui.options import AppOptions
from workbench.tui.tour.app import TourOptions

_SAMPLE = Path(__file__).parents[3] / "samples" / "bookshop"
_WRITING = (
    "put_secret", "delete_secret", "replay", "approve", "cancel", "delete", "rerun", "set_breakpoints",
    "continue_step", "ensure_source", "create_run",
)  # fmt: skip


class WrittenError(Exception):
    """An app that is read-only has changed something."""


class ReadController(ScriptedController):
    """Refuses what changes something, in a way that no app expects."""


def _refuse(name: str) -> Callable[..., Any]:
    async def call(*_: Any, **__: Any) -> Any:
        raise WrittenError(f"{name} was called")

    return call


for _name in _WRITING:
    setattr(ReadController, _name, _refuse(_name))


class ReadLauncher(FakeLauncher):
    """A pipeline that must not be started."""

    async def launch(self, *_: Any, **__: Any) -> Any:
        raise WrittenError("a run was started")


class RandomTour(FakeTourApp):
    """The tour on a controller that follows the script; what fails in it fails the sequence."""

    def __init__(self, project: TourProject, random: Random) -> None:
        self.controller = ScriptedController([], random)
        options = WorkbenchOptions(
            endpoint_label="demo",
            now=lambda: NOW,
            launcher=FakeLauncher(_resumed("Running"), project.pipeline, project.name),
            start_run=self._create_first,
            shell=lambda *_: ["true"],
        )
        super().__init__(self.connect, options, tour=TourOptions(project))

    async def _create_first(self) -> str:
        await self.controller.delay()
        return "bookshop-1"


def read_only_scene(folder: Path, random: Random) -> Scene:
    """The workbench of an audience, most often on a page of `c8s serve`: whatever is pressed, nothing is changed."""
    file = folder / ".c8s.yaml"
    launcher = ReadLauncher(hello(8, "Running"), file)
    launcher.pipeline = LintOutcome((), DEFINITION)
    app = RandomWorkbench([], launcher=launcher, folder=folder, options=AppOptions(read_only=True))
    app.controller = controller = ReadController([], random)
    runs = sample_runs(random)
    if random.random() < 0.7:
        os.environ["C8S_SERVED"] = "1"

    def reset() -> None:
        file.write_text(PIPELINE)
        fill_controller(controller, runs)

    reset()
    # Nobody saves files in the folder: it has to stay as it is.
    return Scene(app, controller, None, reset, partial(_leave_unchanged, file))


def _leave_unchanged(file: Path) -> None:
    os.environ.pop("C8S_SERVED", None)
    if file.read_text() != PIPELINE:
        raise WrittenError(f"{file.name} was written")


def tour_scene(folder: Path, random: Random) -> Scene:
    """The tour of `c8s demo`, with runs of its project in all states."""
    project = TourProject(folder / "bookshop", _SAMPLE)
    project.create(40_123)
    app = RandomTour(project, random)
    controller = app.controller

    def reset() -> None:
        shutil.rmtree(project.folder, ignore_errors=True)
        project.create(40_123)
        fill_controller(
            controller,
            (
                _first("Failed"),
                _resumed("Running"),
                run("bookshop-3", "Succeeded", [step("lint", (), "Succeeded")]),
                hello(7),
            ),
        )

    fill_controller(controller, (_first("Running"),))
    return Scene(app, controller, None, reset)


def _first(phase: str) -> Run:
    broken = step("unit (part=prices)", ("lint",), "Failed" if phase == "Failed" else "Running")
    saved = tuple(replace(each, saved_workspace=SavedWorkspace(1, 1)) for each in broken.attempts)
    return run("bookshop-1", phase, [step("lint", (), "Succeeded"), replace(broken, attempts=saved)])


def _resumed(phase: str) -> Run:
    lint = replace(step("lint", (), "Succeeded"), attempts=(), reused=Reused("bookshop-1", "lint", 1))
    return run("bookshop-2", phase, [lint, step("unit (part=prices)", ("lint",), phase)], created_ago=30)


SCENES: dict[str, tuple[int, Callable[[Path, Random], Scene]]] = {
    "workbench": (78, workbench_scene),
    "bundle": (6, bundle_scene),
    "start": (3, start_scene),
    "empty": (5, empty_scene),
    "read-only": (4, read_only_scene),
    "tour": (4, tour_scene),
}
"""How often each is played, and what makes it."""


def make_scene(folder: Path, random: Random, name: str | None = None) -> Scene:
    """The scene with this name, or one of several, most often a workbench with several runs and a pipeline file."""
    weights, makers = zip(*SCENES.values(), strict=True)
    (make,) = random.choices(makers, weights)
    return SCENES[name][1](folder, random) if name is not None else make(folder, random)
