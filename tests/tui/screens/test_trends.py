"""Statistics in the list of runs and on the steps of a run."""

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, run, step
from workbench.client.statistics import PipelineTrend, Slower, StepTrend
from workbench.tui.options import AppOptions

SLOWER = Slower(1.0, 50, "shop-2", "1a2b3c4d5e6f")
TREND = PipelineTrend(
    "shop", 9, 1, (1.0, 1.0, None, 10.0), 1.0, 10.0, SLOWER,
    steps=(StepTrend("test", 9, 1, (1.0, 1.0, None, 10.0), 1.0, 10.0, SLOWER),),
)  # fmt: skip


def slow_app(**options: object) -> FakeWorkbench:
    app = FakeWorkbench([run("shop-3", "Succeeded", [step("test", (), "Succeeded", duration=10.0)])], **options)
    app.controller.trends = {"shop": TREND}
    return app


async def test_the_list_shows_the_durations_of_the_pipeline_and_marks_a_slow_run() -> None:
    app = slow_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "12.3s↑", "median 1.00s ▂▂·█ ↑ 50% slower than 1.00s since 1a2b3c4d5e (shop-2)"))


async def test_the_steps_of_a_run_have_their_durations() -> None:
    app = slow_app(open_run="shop-3")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "▂▂·█", "↑"))


async def test_without_unicode_the_durations_are_ascii() -> None:
    app = slow_app(open_run="shop-3", options=AppOptions(ascii_only=True))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "...@"))
        assert "▂" not in shown(app)


async def test_without_statistics_runs_are_shown_as_before() -> None:
    app = slow_app()
    app.controller.trends = {}
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        assert "↑" not in shown(app)


async def test_details_have_the_durations_of_the_pipeline_and_of_its_steps() -> None:
    app = slow_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("d")
        await until(pilot, sees(app, "durations", "median 1.00s ▂▂·█ ↑ 50% slower"))
        await pilot.press("escape", "enter", "d")
        await until(pilot, sees(app, "step", "median 1.00s ▂▂·█ ↑ 50% slower"))
