"""What becomes of a run as a whole."""

from __future__ import annotations

import pytest

from controller.operator.decision.actions import StartAttempt, StopPod
from controller.operator.decision.attempts import format_time
from tests.unit.controller.operator.world import MANIFEST, World, step


def test_a_run_whose_steps_succeed_has_succeeded() -> None:
    world = World(step("a"), step("b", "a")).reconcile()
    assert world.phase == "Running"
    world.run_step("a").run_step("b")
    assert (world.phase, world.status["message"]) == ("Succeeded", "2 of 2 steps succeeded")
    assert world.status["summary"]["succeeded"] == 2
    assert world.status["conditions"][0]["status"] == "True"
    assert world.status["startTime"].startswith("2026-01-01T00:00:00.000000")


def test_siblings_of_a_failed_step_finish() -> None:
    world = World(step("a"), step("b"), step("c", "b")).reconcile().run_step("a", 1)
    assert world.phase == "Running"
    world.run_step("b").run_step("c")
    assert world.phases() == {"a": "Failed", "b": "Succeeded", "c": "Succeeded"}
    assert world.phase == "Failed"


def test_a_run_in_its_timeout_has_failed_even_with_exit_code_0() -> None:
    world = World(step("a"), timeout="1m").reconcile()
    world.start_step("a")
    world.reconcile().pass_time(60)
    world.reconcile()
    world.end_step("a", 0)
    world.reconcile()
    assert (world.phase, world.status["reason"]) == ("Failed", "Timeout")


def test_a_cancelled_run_that_waits_for_a_retry_is_not_green() -> None:
    retry = {"maxRetries": 1, "backoffSeconds": 10}
    world = World(step("a", allowFailure=True, retryPolicy=retry)).reconcile().run_step("a", 1)
    world.cancel()
    world.reconcile()
    assert (world.phase, world.step_status("a")["reason"]) == ("Cancelled", "RunCancelled")


def test_a_runs_timeout_stops_what_runs_and_fails_the_run() -> None:
    world = World(step("a"), step("b", "a"), timeout="1m").reconcile()
    world.start_step("a")
    world.reconcile()
    world.pass_time(60)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)
    world.end_step("a", 143)
    world.reconcile()
    assert world.phases() == {"a": "Cancelled", "b": "Cancelled"}
    assert (world.phase, world.status["reason"]) == ("Failed", "Timeout")
    assert world.status["message"] == "the run took too long; 2 steps were stopped or did not begin"


def test_every_unfinished_step_of_a_late_run_is_cancelled() -> None:
    """Whether it waits, starts, runs, uploads, is to be retried or may fail; what ended before stays as it is."""
    retry = {"maxRetries": 1, "backoffSeconds": 600}
    world = World(
        step("done"),
        step("broken"),
        step("skipped", "broken"),
        step("starting"),
        step("running", allowFailure=True),
        step("uploading", artifacts=["a.txt"]),
        step("retried", retryPolicy=retry),
        step("waiting", "running"),
        step("cleanup", "running", conditional={"when": "always"}),
        timeout="1m",
    ).reconcile()
    for name in ("running", "uploading", "retried"):
        world.start_step(name)
    world.reconcile().run_step("done").run_step("broken", 1)
    world.end_step("retried", 1)
    world.end_step("uploading", 0, phase="Running")
    assert world.reconcile().step_status("uploading")["reason"] == "Uploading"
    world.pass_time(60)
    started = list(world.reconcile().started)
    for name in ("running", "uploading"):
        world.end_step(name, 0)
    world.jobs.pop(("starting", 1), None)
    world.missing_jobs.add(("starting", 1))
    world.reconcile()
    verdicts = {each["name"]: (each["phase"], each["reason"]) for each in world.status["steps"]}
    late = ("starting", "running", "uploading", "retried", "waiting", "cleanup")
    assert verdicts == {
        "done": ("Succeeded", "Succeeded"),
        "broken": ("Failed", "ExitCode"),
        "skipped": ("Skipped", "DependencyFailed"),
        **dict.fromkeys(late, ("Cancelled", "Timeout")),
    }
    assert world.started == started, "nothing begins after the timeout"
    assert (world.phase, world.status["reason"]) == ("Failed", "Timeout")


def test_run_that_ended_before_its_timeout_is_not_late() -> None:
    """It may still be waiting for its logs when the timeout is over."""
    world = World(step("a"), timeout="10s").reconcile()
    world.start_step("a")
    world.open_logs["a", 1] = ("step",)
    world.reconcile().end_step("a")
    assert world.reconcile().status["reason"] == "CollectingLogs"
    world.pass_time(11)
    world.reconcile().open_logs.clear()
    assert world.reconcile().phase == "Succeeded"


def test_time_of_a_step_and_its_run_includes_the_upload() -> None:
    world = World(step("a", artifacts=["a.txt"]), step("b", "a")).reconcile()
    world.start_step("a")
    world.reconcile().pass_time(1)
    world.end_step("a", 0, phase="Running")
    world.reconcile().pass_time(5)
    world.stored["a", 1] = MANIFEST
    ended = {"name": "agent", "state": {"terminated": {"exitCode": 0}}}
    world.pods["a", 1]["status"] |= {"phase": "Succeeded", "initContainerStatuses": [ended]}
    world.reconcile()
    finished = world.step_status("a")
    assert finished["completionTime"] == finished["attempts"][0]["times"]["uploaded"] == format_time(world.now)
    assert world.step_status("b")["attempts"][0]["times"]["queued"] == format_time(world.now)


@pytest.mark.parametrize("code", [1, None])
def test_run_lasts_as_long_as_a_failed_or_stopped_upload(code: int | None) -> None:
    world = World(step("a", artifacts=["a.txt"])).reconcile()
    world.start_step("a")
    world.reconcile().end_step("a", 0, phase="Running")
    world.reconcile().pass_time(5)
    if code is None:
        world.cancel()
        world.reconcile()
    ended = {"name": "agent", "state": {"terminated": {"exitCode": code or 0}}}
    world.pods["a", 1]["status"] |= {"phase": "Succeeded", "initContainerStatuses": [ended]}
    world.reconcile()
    assert world.phase == ("Failed" if code else "Cancelled")
    assert world.status["completionTime"] == format_time(world.now)


def test_cancelled_run_stays_cancelled_beyond_its_timeout() -> None:
    world = World(step("a"), timeout="1m").reconcile()
    world.start_step("a")
    world.cancel()
    world.reconcile()
    world.pass_time(100)
    world.end_step("a", 143)
    assert world.reconcile().phase == "Cancelled"


def test_a_run_ends_with_its_logs_or_after_the_log_timeout() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.open_logs["a", 1] = ("step",)
    world.end_step("a")
    world.reconcile()
    assert (world.phase, world.status["reason"]) == ("Running", "CollectingLogs")
    world.open_logs.clear()
    assert world.reconcile().phase == "Succeeded"

    again = World(step("a")).reconcile()
    again.open_logs["a", 1] = ("step",)
    again.run_step("a")
    assert again.status["reason"] == "CollectingLogs"
    again.pass_time(30)
    assert again.reconcile().phase == "Succeeded"


def test_logs_of_steps_that_ended_unobserved_are_awaited() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.pass_time(3600)
    world.first_seen = world.now
    world.end_step("a", finishedAt="2026-01-01T00:00:30Z")
    world.open_logs["a", 1] = ("step",)
    world.reconcile()
    assert world.status["reason"] == "CollectingLogs"
    assert world.step_status("a")["completionTime"] == "2026-01-01T00:00:30.000000Z"


def test_an_ended_run_stays_as_it_is() -> None:
    world = World(step("a")).reconcile().run_step("a")
    before = world.status
    world.cancel()
    world.pass_time(100)
    assert world.reconcile().status == before
    assert world.actions == ()


def test_asking_twice_gives_the_same_answer() -> None:
    world = World(step("a"), step("b", "a"))
    world.secrets_ready = True
    first, second = world.decide(), world.decide()
    assert first == second
    assert [type(action) for action in first.actions] == [StartAttempt]


def test_earlier_attempts_are_summaries_in_the_status() -> None:
    world = World(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 0})).reconcile()
    world.logs["a", 1] = world.logs["a", 2] = {"lines": 3, "lastLine": "boom", "archived": True}
    world.run_step("a", 1).run_step("a", 2, 2)
    first, last = world.step_status("a")["attempts"]
    assert (first["exitCode"], first["log"]) == (1, {"lines": 3, "archived": True})
    assert last["log"]["lastLine"] == "boom"


@pytest.mark.parametrize(("names", "message"), [("a", "1 of 1 step succeeded"), ("ab", "2 of 2 steps succeeded")])
def test_a_single_step_is_in_the_singular(names: str, message: str) -> None:
    world = World(*(step(name) for name in names)).reconcile()
    for name in names:
        world.run_step(name)
    assert world.status["message"] == message


@pytest.mark.parametrize(
    ("names", "message"),
    [("a", "1 of 1 step was stopped"), ("ab", "2 of 2 steps were stopped")],
)
def test_a_single_cancelled_step_is_in_the_singular(names: str, message: str) -> None:
    world = World(*(step(name) for name in names))
    world.cancel()
    assert world.reconcile().status["message"] == f"cancelled; {message}"
