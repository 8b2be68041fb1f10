"""Statistics through the whole controller: written once for each run, and kept when runs are removed."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import SECONDS, Caller, Sandbox
from tests.integration.api.test_whole_path import ended, start, step
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.xdist_group("controller")


async def statistics(api: Caller, pipeline: str, count: int) -> Any:
    """The statistics once they have so many runs."""

    async def has_all() -> Any:
        status, found = await api("GET", f"statistics/{pipeline}")
        return found if status == 200 and found["count"] >= count else None

    return await wait_until_async(has_all, SECONDS, what=f"{count} runs in the statistics of {pipeline}")


async def test_statistics_have_each_ended_run_once_and_stay_when_runs_are_removed(api: Caller) -> None:
    store = step("build", "echo hello; mkdir d; echo x > d/x", artifacts=["d/x"])
    first = await start(api, "counted", store)
    await ended(api, first["name"])
    found = await statistics(api, "counted", 1)
    assert [each["run"] for each in found["runs"]] == [first["name"]]
    (build,) = found["steps"]
    assert (build["succeeded"], build["artifactBytes"], build["logBytes"]) == (1, 2, 6)
    assert build["seconds"][0] == build["medianSeconds"]
    await api("DELETE", f"runs/{first['name']}")
    second = await start(api, "counted", step("build", "exit 1"))
    await ended(api, second["name"])
    found = await statistics(api, "counted", 2)
    assert [each["run"] for each in found["runs"]] == [first["name"], second["name"]]
    assert (found["failed"], found["seconds"][1]) == (1, None)
    status, listed = await api("GET", "statistics")
    assert status == 200
    assert [each["count"] for each in listed["items"] if each["pipeline"] == "counted"] == [2]
    status, problem = await api("GET", "statistics/never-run")
    assert (status, "no run of a pipeline never-run" in problem["detail"]) == (404, True)


async def test_a_run_that_ended_while_the_controller_was_killed_is_recorded_at_its_start(
    api: Caller, sandbox: Sandbox
) -> None:
    run = await start(api, "killed", step("one", "true"))
    await ended(api, run["name"])
    # It may be killed before, in the midst of, or after the writes.
    assert sandbox.controller is not None
    sandbox.controller.send_signal(signal.SIGKILL)
    sandbox.controller.wait()
    sandbox.start_controller()
    found = await statistics(api, "killed", 1)
    assert [each["run"] for each in found["runs"]] == [run["name"]]


async def test_what_a_step_uses_is_measured_while_it_runs(api: Caller, tmp_path: Path) -> None:
    over = tmp_path / "over"
    burn = f"import os; data = bytearray(60_000_000)\nwhile not os.path.exists({str(over)!r}): sum(range(1000))"
    run = await start(api, "measured", step("burn", f'python3 -c "{burn}"'), step("short", "true"))

    async def is_measured() -> bool:
        _, found = await api("GET", f"runs/{run['name']}")
        return any(
            "usage" in attempt for each in found["status"].get("steps") or () for attempt in each.get("attempts") or ()
        )

    await wait_until_async(is_measured, SECONDS, what="a measurement of the running step")
    over.touch()
    final = await ended(api, run["name"])
    burnt, short = (each["attempts"][-1] for each in final["status"]["steps"])
    assert burnt["usage"]["samples"] >= 1
    assert burnt["usage"]["memory"] > 60_000_000
    assert burnt["usage"]["cpu"] > 0
    assert "usage" not in short
    found = await statistics(api, "measured", 1)
    assert [each["peakMemory"] for each in found["steps"]] == [burnt["usage"]["memory"], None]
