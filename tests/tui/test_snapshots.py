"""How the screens look: pictures to be looked at when they change, at the two sizes that matter most."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from tests.tui.fakes import FakeLauncher, Scene, busy_scene
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.tui.ports import Launched

SnapCompare = Callable[..., bool]


def after(scene: Scene, *texts: str, press: tuple[str, ...] = (), then: str = "") -> Callable[[Pilot[int]], object]:
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
    scene = busy_scene()
    assert snap_compare(scene.app, terminal_size=size, run_before=after(scene, "webshop-42", "images ignored"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_a_run_with_a_failed_step(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    scene = busy_scene(open_run="webshop-42")
    settle = after(scene, "26 passed", "7 lines", "images ignored")
    assert snap_compare(scene.app, terminal_size=size, run_before=settle)


def test_the_question_before_a_run_is_cancelled(snap_compare: SnapCompare) -> None:
    scene = busy_scene(open_run="webshop-42")
    settle = after(scene, "26 passed", "7 lines", "images ignored", press=("ctrl+x",), then="Cancel webshop-42?")
    assert snap_compare(scene.app, terminal_size=SMALL, run_before=settle)


def test_a_folder_without_runs(snap_compare: SnapCompare) -> None:
    scene = Scene([], launcher=FakeLauncher(Launched(None)))
    assert snap_compare(scene.app, terminal_size=SMALL, run_before=after(scene, "No runs yet", "images ignored"))
