"""Where the plan of a run is loaded, and what happens when that costs too much."""

from typing import Any

import pytest

from controller.operator.cache.run_plan import InvalidRunError, load_run_plan
from controller.operator.plan_loader import PlanDeferredError, PlanLoader
from controller.pipeline.run_cost import Effort, estimate_effort
from controller.worker import WorkLimitError
from tests.unit.controller.operator.world import build_run, step

SMALL = build_run([step("a")])
MEDIUM = build_run([step("a", commands=["x" * 10_000])])
LARGE = build_run([step("a", commands=["x" * 100_000]), step("b", "a", conditional={"branch": "x"})])
MANY_FILES = build_run(
    [step("a", conditional={"paths": ["src/**", "docs/**"]})], spec={"changedFiles": ["a" * 500] * 1_000}
)


class Worker:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    @property
    def is_busy(self) -> bool:
        return self.error is None

    async def run(self, *_: Any) -> Any:
        raise self.error or AssertionError("called while busy")


@pytest.mark.parametrize(
    ("run", "effort"),
    [(SMALL, Effort.INLINE), (MEDIUM, Effort.THREAD), (LARGE, Effort.PROCESS), (MANY_FILES, Effort.PROCESS)],
)
def test_large_runs_are_prepared_away_from_the_event_loop(run: Any, effort: Effort) -> None:
    spec = run["spec"]
    assert estimate_effort(spec["pipeline"], changed=spec.get("changedFiles")) is effort


@pytest.mark.parametrize("run", [SMALL, MEDIUM, LARGE])
async def test_the_plan_is_the_same_wherever_it_is_loaded(run: Any) -> None:
    assert await PlanLoader().load(run) == load_run_plan(run)


async def test_an_invalid_large_run_is_reported_as_usual() -> None:
    run = build_run([step("a", "nobody", commands=["x" * 100_000])])
    with pytest.raises(InvalidRunError, match="nobody") as error:
        await PlanLoader().load(run)
    assert error.value.reason == "InvalidPipeline"


async def test_a_plan_that_takes_too_long_fails_the_run() -> None:
    worker: Any = Worker(WorkLimitError("it took longer than 10 s of processor time"))
    with pytest.raises(InvalidRunError, match="longer than 10 s of processor time; use fewer steps") as error:
        await PlanLoader(worker).load(LARGE)
    assert error.value.reason == "TooExpensive"


async def test_a_large_run_waits_while_others_are_prepared() -> None:
    worker: Any = Worker()
    with pytest.raises(PlanDeferredError):
        await PlanLoader(worker).load(LARGE)
    assert await PlanLoader(worker).load(SMALL) == load_run_plan(SMALL)
