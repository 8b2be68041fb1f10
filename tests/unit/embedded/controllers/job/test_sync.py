"""What a Job needs next follows from the Job, its pods and the time alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from embedded.controllers.job.sync import JobDecision, sync_job
from embedded.controllers.job.tracking import FINALIZER

Json = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP = "2026-01-02T03:04:05Z"


def job(status: Json | None = None, **spec: Any) -> Json:
    given: Json = {"parallelism": 1, "completions": 1, "backoffLimit": 0, "podReplacementPolicy": "TerminatingOrFailed"}
    given["template"] = {"spec": {"restartPolicy": "Never"}}
    return {"metadata": {"name": "j", "uid": "u"}, "spec": given | spec, "status": status or {}}


def pod(
    name: str, phase: str, *, doomed: bool = False, restarts: int = 0, finished: datetime = NOW, counted: bool = False
) -> Json:
    """A pod of the Job; `counted`: its finalizer is off."""
    metadata: Json = {"name": name, "uid": f"uid-{name}", "namespace": "n"}
    if not counted:
        metadata["finalizers"] = [FINALIZER]
    if doomed:
        metadata |= {"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 30}
    state: Json = {"running": {}}
    if phase in ("Succeeded", "Failed"):
        state = {"terminated": {"finishedAt": finished.isoformat()}}
    ready = {"type": "Ready", "status": "True" if phase == "Running" else "False"}
    statuses = [{"state": state, "restartCount": restarts}]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": [ready], "containerStatuses": statuses}}


def run_sync(subject: Json, *pods: Json, now: datetime = NOW) -> JobDecision:
    return sync_job(subject, pods, now, STAMP)


def settle(subject: Json, *pods: Json, now: datetime = NOW) -> JobDecision:
    """Execute decisions until nothing more follows; the Job and the pods are changed in place."""
    last = run_sync(subject, *pods, now=now)
    for _ in range(9):
        for one in pods:
            name, metadata = one["metadata"]["name"], one["metadata"]
            if name in (*last.release, *last.discard):
                metadata.pop("finalizers", None)
            if name in (*last.delete, *last.discard):
                metadata |= {"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 30}
        if last.status is not None:
            subject["status"] = last.status
        if not (last.release or last.delete or last.discard):
            return last
        last = run_sync(subject, *pods, now=now)
    raise AssertionError("it never settles")


def condition_triples(subject: Json) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in subject["status"].get("conditions", [])]


def decided_conditions(decision: JobDecision) -> list[tuple[str, str, str]]:
    assert decision.status is not None
    return [(c["type"], c["status"], c["reason"]) for c in decision.status.get("conditions", [])]


def test_a_new_job_gets_its_pods_and_a_start_time() -> None:
    decision = run_sync(job(parallelism=2, completions=5))
    assert len(decision.create) == 2
    assert decision.status == {
        "startTime": STAMP,
        "active": 2,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }


def test_no_more_pods_than_completions_are_created() -> None:
    assert len(run_sync(job(parallelism=5, completions=3), pod("a", "Succeeded"), pod("b", "Running")).create) == 1


def test_a_pod_end_is_recorded_before_the_pod_is_released() -> None:
    subject, ended = job({"startTime": STAMP}), pod("a", "Succeeded")
    first = run_sync(subject, ended)
    assert first.status is not None
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["uid-a"]}
    assert decided_conditions(first) == [("SuccessCriteriaMet", "True", "CompletionsReached")]
    assert "succeeded" not in first.status
    assert first.release == ("a",)
    subject["status"] = first.status
    # Killed here: the pod is let go again, and nothing counts twice.
    assert run_sync(subject, ended) == JobDecision(release=("a",))
    last = run_sync(subject, pod("a", "Succeeded", counted=True))
    assert last.status is not None
    assert last.status["uncountedTerminatedPods"] == {}
    assert last.status["succeeded"] == 1
    assert last.status["completionTime"] == STAMP
    assert [kind for kind, _, _ in decided_conditions(last)] == ["SuccessCriteriaMet", "Complete"]


def test_a_recorded_pod_that_is_gone_counts_once() -> None:
    subject = job({"startTime": STAMP, "uncountedTerminatedPods": {"succeeded": ["uid-a"]}}, completions=2)
    settle(subject)
    assert subject["status"]["succeeded"] == 1
    settle(subject)
    assert subject["status"]["succeeded"] == 1


def test_a_failed_job_waits_for_its_other_pods() -> None:
    subject, other = job(parallelism=2, completions=2), pod("b", "Running")
    first = run_sync(subject, pod("a", "Failed"), other)
    assert first.delete == ("b",)
    assert decided_conditions(first) == [("FailureTarget", "True", "BackoffLimitExceeded")]
    ended = pod("a", "Failed")
    settle(subject, ended, other)
    assert condition_triples(subject) == [("FailureTarget", "True", "BackoffLimitExceeded")]
    assert subject["status"]["terminating"] == 1
    settle(subject, ended)
    assert [kind for kind, _, _ in condition_triples(subject)] == ["FailureTarget", "Failed"]
    assert subject["status"]["failed"] == 2
    assert "completionTime" not in subject["status"]


def test_the_first_outcome_of_a_job_is_final() -> None:
    subject = job(parallelism=2, completions=1)
    subject["status"] = run_sync(subject, pod("a", "Failed"), pod("b", "Running")).status
    settle(subject, pod("a", "Failed"), pod("b", "Succeeded", doomed=True))
    assert ("Failed", "True", "BackoffLimitExceeded") in condition_triples(subject)


def test_consecutive_failures_increase_the_back_off() -> None:
    subject = job(backoffLimit=99, completions=9)
    assert run_sync(subject, pod("a", "Failed")).requeue_after == 10.0
    assert run_sync(subject, pod("a", "Failed"), pod("b", "Failed")).requeue_after == 20.0
    assert run_sync(subject, *(pod(str(n), "Failed") for n in range(9))).requeue_after == 600.0
    assert len(run_sync(subject, pod("a", "Failed"), now=NOW + timedelta(seconds=10)).create) == 1
    better = pod("b", "Succeeded", finished=NOW + timedelta(seconds=1))
    assert len(run_sync(subject, pod("a", "Failed"), better).create) == 1


def test_restarts_in_place_count_against_the_backoff_limit() -> None:
    template = {"spec": {"restartPolicy": "OnFailure"}}
    assert run_sync(job(backoffLimit=2, template=template), pod("a", "Running", restarts=1)).delete == ()
    assert run_sync(job(backoffLimit=2, template=template), pod("a", "Running", restarts=2)).delete == ("a",)
    # A sidecar may be restarted in a pod that is not.
    assert run_sync(job(backoffLimit=2), pod("a", "Running", restarts=2)).delete == ()


def test_a_job_past_its_deadline_fails_its_pods() -> None:
    subject, running = job({"startTime": STAMP}, activeDeadlineSeconds=2), pod("a", "Running")
    assert run_sync(subject, running, now=NOW + timedelta(seconds=1.5)).requeue_after == 0.5
    late = run_sync(subject, running, now=NOW + timedelta(seconds=2))
    assert late.delete == ("a",)
    assert decided_conditions(late) == [("FailureTarget", "True", "DeadlineExceeded")]
    settle(subject, running, now=NOW + timedelta(seconds=2))
    assert subject["status"]["failed"] == 1


def test_suspending_a_job_deletes_pods_without_counting_them() -> None:
    subject, running = job({"startTime": "2026-01-01T00:00:00Z"}, suspend=True), pod("a", "Running")
    assert run_sync(subject, running).discard == ("a",)
    settle(subject, running)
    assert condition_triples(subject) == [("Suspended", "True", "JobSuspended")]
    assert not {"failed", "active"} & subject["status"].keys()
    subject["spec"]["suspend"] = False
    resumed = run_sync(subject)
    assert len(resumed.create) == 1
    assert decided_conditions(resumed) == [("Suspended", "False", "JobResumed")]
    assert resumed.status is not None
    assert resumed.status["startTime"] == STAMP


@pytest.mark.parametrize(("policy", "created", "failed"), [("Failed", 0, None), ("TerminatingOrFailed", 1, 1)])
def test_terminating_pods_are_replaced_by_policy(policy: str, created: int, failed: int | None) -> None:
    subject = job(backoffLimit=3, podReplacementPolicy=policy)
    decision = settle(subject, pod("a", "Running", doomed=True), now=NOW + timedelta(minutes=1))
    assert len(decision.create) == created
    assert subject["status"].get("failed") == failed
    assert subject["status"]["terminating"] == 1


def test_a_deleted_pod_that_never_ran_counts_as_failed() -> None:
    subject, never = job(backoffLimit=3, podReplacementPolicy="Failed"), pod("a", "Pending", doomed=True)
    never["metadata"]["deletionGracePeriodSeconds"] = 0
    settle(subject, never)
    assert subject["status"]["failed"] == 1


def test_less_parallelism_deletes_unready_pods_first() -> None:
    decision = run_sync(job(parallelism=1, completions=3), pod("a", "Running"), pod("b", "Pending"))
    assert (decision.create, decision.discard) == ((), ("b",))


def test_a_work_queue_completes_after_a_success() -> None:
    subject = job(parallelism=2, completions=None)
    going = run_sync(subject, pod("a", "Succeeded"), pod("b", "Running"))
    assert (going.create, going.discard) == ((), ())
    settle(subject, pod("a", "Succeeded"), pod("b", "Succeeded"))
    assert condition_triples(subject)[-1][0] == "Complete"


def test_a_finished_job_is_removed_after_its_ttl() -> None:
    subject = job(ttlSecondsAfterFinished=60)
    settle(subject, pod("a", "Succeeded"))
    assert run_sync(subject).requeue_after == 60
    assert run_sync(subject, now=NOW + timedelta(seconds=60)).remove


def test_a_deleted_job_releases_its_pods() -> None:
    subject = job(parallelism=2, completions=2)
    subject["metadata"]["deletionTimestamp"] = STAMP
    assert run_sync(subject, pod("a", "Running")) == JobDecision(release=("a",))


def test_a_job_of_another_manager_is_ignored() -> None:
    assert run_sync(job(managedBy="example.com/other")) == JobDecision()
    assert len(run_sync(job(managedBy="kubernetes.io/job-controller")).create) == 1
