"""The workbench with the tour, on a fake controller and a real project."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tui.driver import SMALL, sees, shown, until
from tests.support.tui.fake_tour import FakeTourApp
from tests.support.tui.fakes import NOW, FakeController, FakeLauncher, run, step
from workbench.client.models import Reused, Run, RunChanged, SavedWorkspace
from workbench.tour.project import TourProject
from workbench.tour.story import Stage
from workbench.tui.app import WorkbenchOptions
from workbench.tui.options import AppOptions
from workbench.tui.tour.app import TourOptions
from workbench.tui.tour.bar import TourBar
from workbench.tui.widgets.key_footer import KeyFooter

BROKEN = "unit (part=prices)"


class FakeTour(FakeTourApp):
    """The tour on a fake controller; what fails in it fails the test."""

    def __init__(self, project: TourProject, pace: float | None = None, *, ascii_only: bool = False) -> None:
        self.controller = FakeController([first("Running")])
        self.commands: list[tuple[str, str, str]] = []
        options = WorkbenchOptions(
            endpoint_label="demo",
            now=lambda: NOW,
            launcher=FakeLauncher(resumed("Running"), project.pipeline, "bookshop"),
            start_run=self._create_first,
            shell=self._open_shell,
        )
        tour = TourOptions(project, pace)
        super().__init__(self.connect, options, AppOptions(ascii_only=ascii_only), tour=tour)

    async def _create_first(self) -> str:
        return "bookshop-1"

    def _open_shell(self, run: str, step: str, container: str) -> list[str]:
        self.commands.append((run, step, container))
        return ["true"]

    def change_run(self, new: Run) -> None:
        self.controller.listed = (*(one for one in self.controller.listed if one.name != new.name), new)
        self.controller.changes.put_nowait(RunChanged(new))

    @property
    def said(self) -> str:
        """What the bar of the current screen says."""
        bars = [bar for bar in self.screen.query(TourBar) if bar.display and bar.said is not None]
        return f"{bars[0].said.text}\n{bars[0].said.below}" if bars and bars[0].said is not None else ""


def first(phase: str) -> Run:
    broken = step(BROKEN, (), "Failed" if phase == "Failed" else "Running")
    saved = tuple(replace(each, saved_workspace=SavedWorkspace(1, 1)) for each in broken.attempts)
    return run("bookshop-1", phase, [step("lint", (), "Succeeded"), replace(broken, attempts=saved)])


def resumed(phase: str) -> Run:
    state = "Succeeded" if phase == "Succeeded" else "Running"
    lint = replace(step("lint", (), "Succeeded"), attempts=(), reused=Reused("bookshop-1", "lint", 1))
    return run("bookshop-2", phase, [lint, step(BROKEN, (), state)], created_ago=30)


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> TourProject:
    made = TourProject(tmp_path / "bookshop", repository / "samples" / "bookshop")
    made.create(40_123)
    monkeypatch.chdir(made.folder)
    return made


async def test_hints_follow_what_the_user_does(project: TourProject) -> None:
    app = FakeTour(project)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, lambda: "This is a real run" in app.said)
        app.change_run(first("Failed"))
        await until(pilot, lambda: f"{BROKEN} failed" in app.said)
        await pilot.press("T")
        await until(pilot, lambda: "The failed test comes first" in app.said)
        await pilot.press("escape")
        await until(pilot, lambda: "opens a shell" in app.said)
        await pilot.press("S")
        await until(pilot, lambda: "The mistake" in app.said)
        assert app.commands == [("bookshop-1", BROKEN, "step")]
        before = project.look()
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Now `M` resumes" in app.said)
        assert before.has_mistake
        assert project.look(before).as_told
        app.change_run(resumed("Running"))
        await until(pilot, lambda: app.stage == Stage.GREEN)
        app.change_run(resumed("Succeeded"))
        await until(pilot, lambda: app.stage == Stage.WATCH)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 20)])
async def test_bar_is_beside_what_is_shown_and_never_above_it(project: TourProject, size: tuple[int, int]) -> None:
    app = FakeTour(project)
    async with app.run_test(size=size, notifications=True) as pilot:
        app.change_run(first("Failed"))
        await until(pilot, lambda: f"{BROKEN} failed" in app.said)
        for key in (None, "T", "escape", "escape", "e", "escape", "d"):
            if key is not None:
                screen = app.screen
                await pilot.press(key)
                await until(pilot, lambda screen=screen: app.screen is not screen and bool(app.said))  # type: ignore[misc]
            bar, footer = app.screen.query_one(TourBar), app.screen.query_one(KeyFooter)
            await until(pilot, lambda bar=bar: bar.region.height > 1)  # type: ignore[misc]
            assert bar.region.bottom <= footer.region.y, shown(app)
            assert bar.region.height <= 4
            others = [each for each in app.screen.children if each not in (bar, footer) and each.display]
            flowing = [each for each in others if each.styles.overlay == "none" and each.styles.dock == "none"]
            assert all(not each.region.overlaps(bar.region) for each in flowing), app.screen
            assert max(each.region.height for each in flowing) >= 5, "there is room for what one has to read"


async def test_notifications_do_not_cover_the_hint(project: TourProject) -> None:
    app = FakeTour(project)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, lambda: "This is a real run" in app.said)
        await pilot.press("escape")
        await until(pilot, sees(app, "runs (1)", "hides the tour"))
        app.notify("something that is said", timeout=60)
        await until(pilot, sees(app, "something that is said", "hides the tour"))
        bar = app.screen.query_one(TourBar)
        assert all(toast.region.bottom <= bar.region.y for toast in app.screen.query("Toast"))


async def test_question_before_a_run_has_the_only_bar(project: TourProject) -> None:
    app = FakeTour(project)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        app.change_run(first("Failed"))
        await until(pilot, lambda: f"{BROKEN} failed" in app.said)
        assert app.launcher is not None
        app.launcher.pipeline = replace(
            app.launcher.pipeline, definition={"name": "bookshop", "params": [{"name": "x"}]}
        )  # type: ignore[attr-defined]
        await pilot.press("r")
        await until(pilot, lambda: "This says which steps run again" in app.said)
        await until(pilot, lambda: shown(app).count("hides the tour") == 1)
        await pilot.press("escape")
        await until(pilot, lambda: f"{BROKEN} failed" in app.said)


async def test_hints_can_be_hidden_and_shown_again(project: TourProject) -> None:
    app = FakeTour(project)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, lambda: "This is a real run" in app.said)
        await pilot.press("ctrl+l")
        await until(pilot, sees(app, "shows the tour again"))
        app.change_run(first("Failed"))
        await pilot.press("escape")
        await until(pilot, sees(app, "runs (1)"))
        assert app.said == ""
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "goes on in bookshop-1" in app.said)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: f"{BROKEN} failed" in app.said)


async def test_project_that_is_deleted_and_a_sandbox_that_is_gone_are_said(project: TourProject) -> None:
    app = FakeTour(project)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, lambda: "This is a real run" in app.said)
        app.set_connection_error("connection refused")
        await until(pilot, lambda: "The sandbox does not answer" in app.said)
        app.set_connection_error(None)
        await until(pilot, lambda: "This is a real run" in app.said)
        shutil.rmtree(project.folder)
        await until(pilot, lambda: "The project is gone" in app.said)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.said == "" and app.stage is None)
        assert app.return_code is None


async def test_tour_in_ascii_and_without_colours_of_its_own(project: TourProject) -> None:
    app = FakeTour(project, ascii_only=True)
    app.theme = "ansi-dark"
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "This is a real run", "Ctrl+L hides the tour"))


async def test_tour_that_plays_by_itself_presses_the_keys(project: TourProject) -> None:
    app = FakeTour(project, 0.0)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        app.change_run(first("Failed"))
        await until(pilot, lambda: len(app.commands) == 1)
        await until(pilot, lambda: app.launcher is not None and app.launcher.launches == 1)  # type: ignore[attr-defined]
        assert app.controller.created_runs == []
        assert app.launcher.options["reuse_from"] == "bookshop-1"  # type: ignore[union-attr]
        assert app.stage == Stage.RESUME
