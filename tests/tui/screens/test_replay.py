"""A run that is played: graph, bars and logs as they were, and the keys that move through its time."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.tui.test_bundle import bundle_at
from workbench.bundle.controller import BundleController
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.screens.run.replay import ReplayScreen
from workbench.tui.screens.run.screen import RunScreen


def screen(app: Workbench) -> ReplayScreen:
    return cast(ReplayScreen, app.screen)


async def test_it_is_played_scrubbed_and_left(tmp_path: Path) -> None:
    with BundleController(await bundle_at(tmp_path / "a.c8srun")) as bundle:
        app = Workbench(lambda _: bundle, WorkbenchOptions(endpoint_label="a", open_run="shop-3"))
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, sees(app, "Failed", "1 failed"))
            await pilot.press("less_than_sign")
            await until(pilot, lambda: isinstance(app.screen, ReplayScreen))
            await pilot.press("space")
            assert not screen(app).playback.playing
            position = screen(app).playback.moment
            while screen(app).playback.seconds < 10:
                await pilot.press("full_stop")
            assert screen(app).playback.moment > position
            await pilot.press("comma", "comma", "greater_than_sign", "greater_than_sign", "greater_than_sign")
            # 9.22 s: the second attempt has begun, its failing line comes at 10 s.
            await until(pilot, sees(app, "Running", "looking", "of 12.0s"))
            assert "AssertionError: 2" not in shown(app)
            await pilot.press(*["greater_than_sign"] * 4)
            await until(pilot, sees(app, "AssertionError: 2 != 3"))
            await pilot.press(*["less_than_sign"] * 20)
            await until(pilot, sees(app, "first try"))
            assert "looking" not in shown(app)
            await pilot.press("right_curly_bracket")
            await until(pilot, sees(app, "×2"))
            await pilot.press(*["right_curly_bracket"] * 3)
            await until(pilot, sees(app, "×16"))
            await pilot.press("space")
            await until(pilot, lambda: screen(app).playback.at_end)
            await until(pilot, sees(app, "Failed", "1 failed"))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and not isinstance(app.screen, ReplayScreen))
            assert app.crash is None
            assert not app.failures


async def test_a_blank_in_a_field_is_a_blank(tmp_path: Path) -> None:
    with BundleController(await bundle_at(tmp_path / "a.c8srun")) as bundle:
        app = Workbench(lambda _: bundle, WorkbenchOptions(endpoint_label="a", open_run="shop-3"))
        async with app.run_test(size=SMALL, notifications=True) as pilot:
            await until(pilot, sees(app, "Failed"))
            await pilot.press("less_than_sign")
            await until(pilot, lambda: isinstance(app.screen, ReplayScreen))
            # The rest of the run at once: it would take 12 seconds.
            screen(app).playback.advance(60)
            screen(app).show_moment()
            assert screen(app).playback.at_end
            await pilot.press("3", "slash", "2", "space", "exclamation_mark")
            await until(pilot, sees(app, "2 !"))
            assert not screen(app).playback.playing


async def test_only_a_run_that_has_ended_is_played() -> None:
    from tests.support.tui.fakes import FakeWorkbench, webshop

    app = FakeWorkbench([webshop()])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("less_than_sign")
        await until(pilot, sees(app, "has not ended yet"))
