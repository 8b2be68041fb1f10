"""The screen with the tests of a run."""

from dataclasses import replace

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello, run, step
from workbench.client.errors import ClientError
from workbench.client.models import Run, TestCounts
from workbench.client.test_results import StepTests, TestHistory, TestReport, TestResult
from workbench.tui.options import AppOptions
from workbench.tui.screens.run.test_results import TestsScreen
from workbench.tui.widgets.tests_list import TestsList

DETAILS = """def test_total():
>   assert total() == 42
E   - 42
E   + 41
tests/test_cart.py:9: AssertionError"""
FAILED = TestResult("unit", "k1", "test_total", "tests.test_cart", "failed", 0.5, "tests/test_cart.py", 9,
                    "assert 41 == 42", DETAILS, "adding up")  # fmt: skip
FLAKY = TestResult("unit", "k2", "test_network", "tests.test_cart", "passed", 1.25)
PASSED = TestResult("unit", "k3", "test_empty", "tests.test_cart", "passed", 0.01)
SKIPPED = TestResult("unit", "k4", "test_later", "tests.test_cart", "skipped", None, message="not yet")
UNIT = StepTests("unit", "unit", 1, 4, 1, 1, 1.76, True, False, ("broken.xml:3: it is not valid XML",))
HISTORY = TestHistory(
    ("shop-1", "shop-2", "shop-3"), {"k1": "PPF", "k2": "FPP", "k3": "-PP", "k4": "SSS"}, frozenset({"k2"})
)


def unit_run() -> Run:
    failed = step("unit", (), "Failed", message="exit code 1")
    attempt = replace(failed.attempts[0], tests=TestCounts(4, 1, 1))
    return run("shop-3", "Failed", [replace(failed, attempts=(attempt,)), step("build", (), "Succeeded")])


def unit_app(*tests: TestResult, **options: object) -> FakeWorkbench:
    app = FakeWorkbench([unit_run()], **options)
    app.controller.test_report = TestReport((UNIT,), tests or (PASSED, SKIPPED, FLAKY, FAILED))
    app.controller.test_histories = {"unit": HISTORY}
    return app


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
async def test_failed_tests_come_first_with_their_difference_and_history(size: tuple[int, int]) -> None:
    app = unit_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("T")
        await until(pilot, sees(app, "1 of 4 tests failed, 1 skipped, 1 flaky", "✓✓✗", "flaky", "✗✓✓", "broken.xml:3"))
        names = [test.name for test in app.screen.query_one(TestsList).tests.values()]
        assert names == ["test_total", "test_network", "test_later", "test_empty"]
        await until(pilot, sees(app, "tests/test_cart.py:9", "assert 41 == 42", "E   + 41"))
        await pilot.press("down")
        await until(pilot, sees(app, "flaky: it failed and passed on the same inputs", "It passed; the output"))
        await pilot.press("down")
        await until(pilot, sees(app, "not yet"))
        await pilot.press("T")
        await until(pilot, lambda: not isinstance(app.screen, TestsScreen))


async def test_without_unicode_the_history_is_ascii() -> None:
    app = unit_app(options=AppOptions(ascii_only=True))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("T")
        await until(pilot, sees(app, "1 of 4 tests failed", "vvx"))


@pytest.mark.parametrize("key", ["F", "M"])
async def test_only_the_failed_tests_are_run_again(key: str) -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    app = unit_app(launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("T")
        await until(pilot, sees(app, "1 of 4 tests failed"))
        await pilot.press(key)
        if key == "F":
            await until(pilot, lambda: app.controller.rerun_failed_tests == [True])
        else:
            await until(pilot, lambda: launcher.launches == 1)
            assert launcher.options["failed_tests_of"] == "shop-3"
        await until(pilot, lambda: not isinstance(app.screen, TestsScreen))


async def test_a_step_that_does_not_say_how_is_not_run_again() -> None:
    app = unit_app()
    app.controller.test_report = TestReport((replace(UNIT, can_rerun_failed=False),), (FAILED,))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("T")
        await until(pilot, sees(app, "1 of 4 tests failed"))
        await pilot.press("F")
        await until(pilot, sees(app, "`rerunFailed`"))
        assert app.controller.rerun_failed_tests == []


async def test_a_run_without_reports_says_how_to_add_them_and_an_error_what_is_wrong() -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("T")
        await until(pilot, sees(app, "No step of this run has reports of tests"))
        await pilot.press("F", "o", "enter")
        await until(pilot, sees(app, "No test failed."))
        await pilot.press("escape")
        app.controller.error = ClientError("you may not read logs")
        await pilot.press("T")
        await until(pilot, sees(app, "The tests can't be listed: you may not read logs"))


async def test_texts_of_reports_are_plain_text() -> None:
    hostile = replace(FAILED, name="\x1b[2J[red]x[/]", message="\x1b]0;evil\x07[b]no[/b]", details="[link=x]y[/link]")
    app = unit_app(hostile)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("T")
        await until(pilot, sees(app, "[red]x[/]", "[b]no[/b]", "[link=x]y[/link]"))
        assert "\x1b" not in shown(app)


async def test_the_card_of_a_failed_step_names_its_failed_tests() -> None:
    app = unit_app(open_run="shop-3")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "1 of 4 tests failed: test_total"))


async def test_tests_of_several_steps_have_the_names_of_their_steps() -> None:
    app = unit_app()
    other = replace(FAILED, step="unit-slow-1a2b3c", key="k9")
    slow = replace(UNIT, step="unit-slow-1a2b3c", name="unit (kind=slow)")
    app.controller.test_report = TestReport((UNIT, slow), (FAILED, other))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-3"))
        await pilot.press("T")
        await until(pilot, sees(app, "unit (kind=slow)"))
        assert "1a2b3c" not in shown(app)
