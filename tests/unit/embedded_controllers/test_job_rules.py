"""What a Job needs next follows from the Job, its pods and the time alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from embedded.controllers.job_rules import Gone, JobDecision, gone_before, sync, without

Json = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NONE = Gone()
STAMP = "2026-01-02T03:04:05Z"


def job(status: Json | None = None, **spec: Any) -> Json:
    given = {"parallelism": 1, "completions": 1, "backoffLimit": 0, "podReplacementPolicy": "TerminatingOrFailed"}
    return {"metadata": {"name": "j", "uid": "u"}, "spec": given | spec, "status": status or {}}


def pod(name: str, phase: str, *, doomed: bool = False, restarts: int = 0, finished: datetime = NOW) -> Json:
    metadata: Json = {"name": name}
    if doomed:
        metadata["deletionTimestamp"] = STAMP
    state: Json = {"running": {}}
    if phase in ("Succeeded", "Failed"):
        state = {"terminated": {"finishedAt": finished.isoformat()}}
    ready = {"type": "Ready", "status": "True" if phase == "Running" else "False"}
    statuses = [{"state": state, "restartCount": restarts}]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": [ready], "containerStatuses": statuses}}


def look(subject: Json, *pods: Json, now: datetime = NOW, gone: Gone = NONE) -> JobDecision:
    return sync(subject, pods, now, STAMP, gone)


def conditions(decision: JobDecision) -> list[tuple[str, str, str]]:
    assert decision.status is not None
    return [(c["type"], c["status"], c["reason"]) for c in decision.status.get("conditions", [])]


def test_a_new_job_gets_its_pods_and_a_start_time() -> None:
    decision = look(job(parallelism=2, completions=5))
    assert decision.create == 2
    assert decision.status == {
        "startTime": STAMP,
        "active": 2,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }


def test_no_more_pods_than_completions_are_missing() -> None:
    assert look(job(parallelism=5, completions=3), pod("a", "Succeeded"), pod("b", "Running")).create == 1


def test_a_job_whose_last_pod_succeeded_is_complete_in_one_write() -> None:
    decision = look(job(), pod("a", "Succeeded"))
    reason = "CompletionsReached"
    assert conditions(decision) == [("SuccessCriteriaMet", "True", reason), ("Complete", "True", reason)]
    assert decision.status is not None
    assert decision.status["completionTime"] == STAMP
    assert decision.status["succeeded"] == 1
    assert "active" not in decision.status


def test_a_failure_beyond_the_limit_ends_the_job_only_when_its_other_pods_have_ended() -> None:
    subject = job(parallelism=2, completions=2)
    first = look(subject, pod("a", "Failed"), pod("b", "Running"))
    assert first.delete == ("b",)
    assert conditions(first) == [("FailureTarget", "True", "BackoffLimitExceeded")]
    subject["status"] = first.status
    assert look(subject, pod("a", "Failed"), pod("b", "Running", doomed=True)).status is None
    last = look(subject, pod("a", "Failed"), gone=Gone(0, 1))
    assert [kind for kind, _, _ in conditions(last)] == ["FailureTarget", "Failed"]
    assert last.status is not None
    assert last.status["failed"] == 2


def test_a_first_verdict_stays_whatever_the_pods_do_afterwards() -> None:
    subject = job(parallelism=2, completions=1)
    subject["status"] = look(subject, pod("a", "Failed"), pod("b", "Running")).status
    last = look(subject, pod("a", "Failed"), pod("b", "Succeeded", doomed=True))
    assert ("Failed", "True", "BackoffLimitExceeded") in conditions(last)


def test_after_a_failure_the_next_pod_waits_longer_each_time() -> None:
    subject = job(backoffLimit=9)
    assert look(subject, pod("a", "Failed")).look_again == 10.0
    assert look(subject, pod("a", "Failed"), pod("b", "Failed")).look_again == 20.0
    assert look(subject, *(pod(str(n), "Failed") for n in range(9))).look_again == 360.0
    assert look(subject, pod("a", "Failed"), now=NOW + timedelta(seconds=10)).create == 1


def test_restarts_in_place_count_against_the_limit() -> None:
    assert look(job(backoffLimit=2), pod("a", "Running", restarts=1)).delete == ()
    assert look(job(backoffLimit=2), pod("a", "Running", restarts=2)).delete == ("a",)


def test_a_job_past_its_deadline_ends_its_pods_and_counts_them_as_failed() -> None:
    subject = job({"startTime": STAMP}, activeDeadlineSeconds=2)
    assert look(subject, pod("a", "Running"), now=NOW + timedelta(seconds=1.5)).look_again == 0.5
    late = look(subject, pod("a", "Running"), now=NOW + timedelta(seconds=2))
    assert late.delete == ("a",)
    assert conditions(late) == [("FailureTarget", "True", "DeadlineExceeded")]
    assert late.status is not None
    assert late.status["failed"] == 1


def test_a_suspended_job_ends_its_pods_without_holding_it_against_them() -> None:
    held = look(job({"startTime": STAMP}, suspend=True), pod("a", "Running"))
    assert held.delete == ("a",)
    assert conditions(held) == [("Suspended", "True", "JobSuspended")]
    subject = job(held.status, suspend=True)
    ended = look(subject, pod("a", "Failed", doomed=True)).status
    assert ended is not None
    assert "failed" not in ended
    subject["spec"]["suspend"] = False
    resumed = look(subject)
    assert resumed.create == 1
    assert conditions(resumed) == [("Suspended", "False", "JobResumed")]


@pytest.mark.parametrize(("policy", "created", "failed"), [("Failed", 0, None), ("TerminatingOrFailed", 1, 1)])
def test_a_pod_that_is_being_deleted_is_replaced_as_the_policy_says(
    policy: str, created: int, failed: int | None
) -> None:
    subject = job(backoffLimit=3, podReplacementPolicy=policy)
    decision = look(subject, pod("a", "Running", doomed=True), now=NOW + timedelta(minutes=1))
    assert decision.create == created
    assert decision.status is not None
    assert decision.status.get("failed") == failed
    assert decision.status["terminating"] == 1


def test_less_parallelism_ends_the_surplus_those_that_are_not_ready_first() -> None:
    decision = look(job(parallelism=1, completions=3), pod("a", "Running"), pod("b", "Pending"))
    assert (decision.create, decision.delete) == (0, ("b",))


def test_a_work_queue_is_done_when_one_has_succeeded_and_none_is_left() -> None:
    subject = job(parallelism=2, completions=None)
    going = look(subject, pod("a", "Succeeded"), pod("b", "Running"))
    assert (going.create, going.delete) == (0, ())
    assert conditions(look(subject, pod("a", "Succeeded"), pod("b", "Succeeded")))[-1][0] == "Complete"


def test_a_finished_job_goes_when_its_time_to_live_is_over() -> None:
    status = look(job(), pod("a", "Succeeded")).status
    subject = job(status, ttlSecondsAfterFinished=60)
    assert look(subject, pod("a", "Succeeded")).look_again == 60
    assert look(subject, pod("a", "Succeeded"), now=NOW + timedelta(seconds=60)).remove


def test_pods_that_were_removed_still_count() -> None:
    subject = job(backoffLimit=1, completions=2)
    gone = without(subject, pod("b", "Running"), without(subject, pod("a", "Succeeded"), Gone()))
    assert gone == Gone(succeeded=1, failed=1)
    decision = look(subject, pod("c", "Succeeded"), gone=gone)
    assert conditions(decision)[-1][0] == "Complete"
    assert gone_before(job({"succeeded": 2, "failed": 1}), [pod("c", "Succeeded")]) == Gone(1, 1)
