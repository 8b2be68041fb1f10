"""What a run would reuse, before it is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.support.tui.fakes import NOW
from tests.unit.workbench.report.test_reuse import BUILD, TEST, shop
from workbench.client.models import Run
from workbench.pipeline_file.preview import planned_steps
from workbench.report.reuse import FileChanges
from workbench.report.reuse_forecast import PlannedRun, ReuseForecast, forecast_reuse

LINT: dict[str, Any] = {"name": "lint", "image": "alpine:3", "commands": ["lint"]}
SAME = FileChanges()


def forecast(
    earlier: Run,
    *definitions: Mapping[str, Any],
    files: FileChanges | None = SAME,
    given: Mapping[str, str] | None = None,
    **pipeline: Any,
) -> ReuseForecast:
    definition = {"name": "shop", "steps": list(definitions), **pipeline}
    planned = PlannedRun(definition, planned_steps(definition), given or {}, "main", "1a2b3c4")
    return forecast_reuse(planned, earlier, files, {}.get, NOW)


def test_everything_is_reused_if_nothing_has_changed() -> None:
    found = forecast(shop(1, BUILD, TEST), BUILD, TEST)
    assert found.reused == ("build", "test")
    assert str(found) == "2 of 2 steps are reused from shop-1, which saves 3.00s."


def test_a_changed_step_and_those_downstream_run_again() -> None:
    found = forecast(shop(1, BUILD, TEST, LINT), {**BUILD, "commands": ["make -j4"]}, TEST, LINT)
    assert found.reused == ("lint",)
    assert found.again["build"] == ("commands: +make -j4, -make",)
    assert found.again["test"] == ("upstream build has changed",)


def test_a_failed_step_alone_does_not_change_those_downstream() -> None:
    earlier = shop(1, BUILD, TEST)
    failed = replace(earlier, steps=(replace(earlier.steps[0], phase="Failed"), earlier.steps[1]))
    found = forecast(failed, BUILD, TEST)
    assert found.again == {"build": ("failed in shop-1",)}
    assert found.reused == ("test",)


def test_changed_files_run_everything_again() -> None:
    found = forecast(shop(1, BUILD, TEST), BUILD, TEST, files=FileChanges(modified=("src/app.py",)))
    assert str(found) == "Nothing is reused from shop-1."
    assert next(found.lines(5)) == "build: source files: ~src/app.py"


def test_steps_with_inputs_run_again_for_these_files_only() -> None:
    build, test = {**BUILD, "inputs": ["src", "!**/*.md"]}, {**TEST, "inputs": ["tests"]}
    earlier = shop(1, build, test)
    for name, again in (
        ("docs/a.md", ()),
        ("src/a.md", ()),
        ("tests/a.py", ("test",)),
        ("src/a.py", ("build", "test")),
    ):
        found = forecast(earlier, build, test, files=FileChanges(modified=(name, "README")))
        assert tuple(found.again) == again
    found = forecast(earlier, {**build, "inputs": ["{{run.branch}}"]}, test, files=FileChanges(modified=("README",)))
    assert "build" in found.again, "it may be one of them"
    assert forecast(shop(1, BUILD), build).again == {"build": ("inputs changed",)}


def test_changed_parameters_run_everything_again() -> None:
    declared = {"params": [{"name": "target", "default": "dev"}]}
    earlier = shop(1, BUILD, pipeline=declared)
    assert forecast(earlier, BUILD, **declared).reused == ("build",)
    assert forecast(earlier, BUILD, given={"target": "dev"}, **declared).reused == ("build",)
    found = forecast(earlier, BUILD, given={"target": "prod"}, **declared)
    assert found.again == {"build": ("parameter target: dev → prod",)}


def test_new_steps_run() -> None:
    assert forecast(shop(1, BUILD), BUILD, LINT).again == {"lint": ("shop-1 has no such step",)}


def test_unknown_files_are_a_condition() -> None:
    found = forecast(shop(1, BUILD), BUILD, files=None)
    assert str(found).startswith("If the files are the same, 1 of 1 step is reused from shop-1")


def test_steps_in_any_order_are_followed_upstream() -> None:
    found = forecast(shop(1, TEST, BUILD), TEST, {**BUILD, "image": "alpine:4"})
    assert list(found.again) == ["test", "build"]


def test_many_steps_that_run_again_are_not_all_named() -> None:
    steps = [{**LINT, "name": f"step-{n}"} for n in range(12)]
    found = forecast(shop(1, BUILD), *steps)
    assert list(found.lines(3))[-1] == "and 9 more steps"
