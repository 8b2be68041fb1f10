"""How the screens look: pictures to be looked at when they change, at the two sizes that matter most."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from textual.pilot import Pilot

from tests.tui.fakes import NOW, FakeLauncher, Scene, busy_app
from tests.tui.test_graph import matrix_scene
from tests.tui.test_place import HEALTH, status
from tests.tui.test_start import FakeProvider
from tests.tui.test_start import sees as start_sees
from tests.tui.test_start import until as start_until
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.client.endpoint import Endpoint
from workbench.config.preferences import Preferences
from workbench.tui.base_app import AppOptions
from workbench.tui.services.interfaces import LaunchResult
from workbench.tui.setup.app import SetupApp

SnapCompare = Callable[..., bool]


def after(
    scene: Scene, *texts: str, press: tuple[str, ...] = (), then: str = ""
) -> Callable[[Pilot[int]], Awaitable[None]]:
    """Wait until these texts are shown, press keys, and wait for one more text."""

    async def settle(pilot: Pilot[int]) -> None:
        await until(pilot, sees(scene, *texts))
        await pilot.press(*press)
        await until(pilot, sees(scene, then))
        before = ""
        while (now := shown(scene)) != before:
            before = now
            await pilot.pause(0.15)

    return settle


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_the_list_of_runs(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    scene = busy_app()
    assert snap_compare(scene.app, terminal_size=size, run_before=after(scene, "webshop-42", "images ignored"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_a_run_with_a_failed_step(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    scene = busy_app(open_run="webshop-42")
    settle = after(scene, "26 passed", "7 lines", "images ignored")
    assert snap_compare(scene.app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("theme", ["c8s-light", "ansi-dark"])
def test_a_run_in_another_theme(snap_compare: SnapCompare, theme: str) -> None:
    scene = busy_app(open_run="webshop-42")
    scene.app.theme = theme
    settle = after(scene, "26 passed", "7 lines", "images ignored")
    assert snap_compare(scene.app, terminal_size=WIDE, run_before=settle)


@pytest.fixture
def utc() -> Iterator[None]:
    """Times of the day are those of Greenwich."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_what_was_said(snap_compare: SnapCompare, utc: None) -> None:
    scene = busy_app()

    async def settle(pilot: Pilot[int]) -> None:
        await until(pilot, sees(scene, "webshop-42", "images ignored"))
        refused = "the controller has refused: steps[3].dependsOn[1] names no step"
        scene.app.messages.add(NOW, "information", "", "Saved /home/me/shop/.c8s.yaml")
        scene.app.messages.add(NOW, "warning", "", "There is no connection to run it on.")
        scene.app.messages.add(NOW, "error", "Not started", refused)
        scene.app.messages.add(NOW, "error", "Not started", refused)
        await after(scene, press=("H",), then="messages (3)")(pilot)

    assert snap_compare(scene.app, terminal_size=SMALL, run_before=settle)


def test_help_with_keys_of_ones_own(snap_compare: SnapCompare) -> None:
    keys = {"app.run": "x", "app.help": ["?", "f6"], "rows.up": "ctrl+k"}
    scene = busy_app(options=AppOptions(Preferences(keys=keys)))
    settle = after(scene, "webshop-42", "images ignored", press=("f6",), then="Anywhere")
    assert snap_compare(scene.app, terminal_size=SMALL, run_before=settle)


def test_a_matrix_that_is_drawn_together(snap_compare: SnapCompare) -> None:
    scene = matrix_scene()
    settle = after(scene, "test ×98", "shard three", "1 line", "images ignored")
    assert snap_compare(scene.app, terminal_size=WIDE, run_before=settle)


def test_a_run_in_ascii(snap_compare: SnapCompare) -> None:
    scene = busy_app(open_run="webshop-42", options=AppOptions(ascii_only=True))
    settle = after(scene, "26 passed", "7 lines", "images ignored")
    assert snap_compare(scene.app, terminal_size=SMALL, run_before=settle)


def test_the_question_before_a_run_is_cancelled(snap_compare: SnapCompare) -> None:
    scene = busy_app(open_run="webshop-42")
    settle = after(scene, "26 passed", "7 lines", "images ignored", press=("ctrl+x",), then="Cancel webshop-42?")
    assert snap_compare(scene.app, terminal_size=SMALL, run_before=settle)


def test_a_folder_without_runs(snap_compare: SnapCompare) -> None:
    scene = Scene([], launcher=FakeLauncher(LaunchResult(None)))
    assert snap_compare(scene.app, terminal_size=SMALL, run_before=after(scene, "No runs yet", "images ignored"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_how_the_cluster_is(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    scene = Scene([], sandbox=status)
    scene.controller.health_report = HEALTH
    settle = after(scene, "No runs yet", "images ignored", press=("C",), then="the disk is full")
    assert snap_compare(scene.app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_the_start_with_what_is_missing(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = SetupApp([FakeProvider()])

    async def settle(pilot: Pilot[Endpoint | None]) -> None:
        await start_until(pilot, start_sees(app, "Install Docker."))

    assert snap_compare(app, terminal_size=size, run_before=settle)


def test_the_start_under_way(snap_compare: SnapCompare) -> None:
    app = SetupApp([FakeProvider()])

    async def settle(pilot: Pilot[Endpoint | None]) -> None:
        await pilot.press("enter")
        await start_until(pilot, start_sees(app, "1 of 2 steps done", "pulling"))

    assert snap_compare(app, terminal_size=SMALL, run_before=settle)
