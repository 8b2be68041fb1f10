"""Indexed Jobs, and what Jobs say of single failures and of early success."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.controllers.job import indexed as job_indexes
from embedded.controllers.job import pod_failure_policy
from embedded.controllers.job.sync import NewPod
from tests.unit.embedded.controllers.job.test_sync import NOW, condition_triples, job, pod, run_sync, settle

Json = dict[str, Any]


def indexed_job(**spec: Any) -> Json:
    given: Json = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimit": 6}
    return job(**(given | spec))


def indexed_pod(
    index: int, phase: str, name: str = "", failures: int | None = None, code: int = 1, **more: Any
) -> Json:
    made = pod(name or f"p{index}", phase, **more)
    made["metadata"]["annotations"] = {job_indexes.INDEX_ANNOTATION: str(index)}
    if failures is not None:
        made["metadata"]["annotations"][job_indexes.FAILURE_COUNT_ANNOTATION] = str(failures)
    for status in made["status"]["containerStatuses"]:
        status["name"] = "main"
        if "terminated" in status["state"]:
            status["state"]["terminated"]["exitCode"] = code
    return made


@given(st.frozensets(st.integers(0, 60)))
def test_formatted_indexes_parse_to_the_same_set(indexes: frozenset[int]) -> None:
    assert job_indexes.parse_indexes(job_indexes.format_indexes(indexes), 61) == indexes


def test_indexes_are_formatted_as_by_kubernetes() -> None:
    assert job_indexes.format_indexes({1, 3, 4, 5, 7}) == "1,3-5,7"
    assert job_indexes.format_indexes({0, 1}) == "0,1"
    assert job_indexes.format_indexes(()) == ""


@pytest.mark.parametrize("text", ["x", "1-", "-1", "3-1", "1-9999999999999", ",,"])
def test_invalid_text_names_no_index_beyond_the_limit(text: str) -> None:
    assert job_indexes.parse_indexes(text, 3) <= {1, 2}


def test_each_unfinished_index_gets_a_pod() -> None:
    assert run_sync(indexed_job()).create == (NewPod(0), NewPod(1), NewPod(2))
    assert run_sync(indexed_job(), indexed_pod(0, "Succeeded"), indexed_pod(2, "Running")).create == (NewPod(1),)


def test_a_job_is_complete_when_each_index_has_succeeded() -> None:
    subject = indexed_job()
    settle(
        subject,
        indexed_pod(0, "Succeeded"),
        indexed_pod(0, "Succeeded", "again"),
        indexed_pod(2, "Succeeded"),
        indexed_pod(1, "Running"),
    )
    assert subject["status"]["completedIndexes"] == "0,2"
    assert subject["status"]["succeeded"] == 2
    settle(subject, indexed_pod(1, "Succeeded"))
    assert subject["status"]["completedIndexes"] == "0-2"
    assert condition_triples(subject)[-1][0] == "Complete"


def test_of_two_pods_for_one_index_the_later_is_deleted() -> None:
    assert run_sync(indexed_job(), indexed_pod(0, "Running"), indexed_pod(0, "Running", "second")).discard == (
        "second",
    )


def test_an_index_over_its_limit_fails_and_the_others_go_on() -> None:
    subject = indexed_job(backoffLimitPerIndex=0, backoffLimit=2**31 - 1)
    settle(subject, lost := indexed_pod(1, "Failed", failures=0), indexed_pod(0, "Running"), indexed_pod(2, "Running"))
    assert subject["status"]["failedIndexes"] == "1"
    assert "conditions" not in subject["status"]
    settle(subject, lost, indexed_pod(0, "Succeeded"), indexed_pod(2, "Succeeded"))
    assert condition_triples(subject)[-1] == ("Failed", "True", "FailedIndexes")
    assert subject["status"]["completedIndexes"] == "0,2"
    assert subject["status"]["failed"] == 1


def test_each_index_has_its_own_back_off() -> None:
    subject = indexed_job(backoffLimitPerIndex=2, backoffLimit=2**31 - 1)
    failed = indexed_pod(1, "Failed", failures=1)
    waiting = run_sync(subject, failed, indexed_pod(0, "Running"))
    assert (waiting.create, waiting.requeue_after, waiting.release) == ((NewPod(2, (0, 0)),), 20.0, ())
    later = run_sync(
        subject, failed, indexed_pod(0, "Running"), indexed_pod(2, "Running"), now=NOW + timedelta(seconds=20)
    )
    assert later.create == (NewPod(1, (2, 0)),)
    successor = indexed_pod(1, "Pending", "next", failures=2)
    assert run_sync(subject, failed, indexed_pod(0, "Running"), indexed_pod(2, "Running"), successor).release == ("p1",)


def test_too_many_failed_indexes_end_the_job() -> None:
    subject = indexed_job(backoffLimitPerIndex=0, maxFailedIndexes=0, backoffLimit=2**31 - 1)
    settle(subject, indexed_pod(1, "Failed"), running := indexed_pod(0, "Running"))
    settle(subject, indexed_pod(1, "Failed", counted=True))
    assert "deletionTimestamp" in running["metadata"]
    assert condition_triples(subject)[-1] == ("Failed", "True", "MaxFailedIndexesExceeded")


def test_a_success_policy_ends_the_job_early() -> None:
    rules = [{"succeededIndexes": "0-1", "succeededCount": 1}]
    subject = indexed_job(successPolicy={"rules": rules})
    assert (
        run_sync(subject, indexed_pod(2, "Succeeded"), indexed_pod(0, "Running"), indexed_pod(1, "Running")).delete
        == ()
    )
    settle(subject, indexed_pod(1, "Succeeded"), indexed_pod(0, "Running"))
    settle(subject)
    assert [reason for _, _, reason in condition_triples(subject)] == ["SuccessPolicy", "SuccessPolicy"]
    assert subject["status"]["conditions"][0]["message"] == "Matched rules at index 0"


def policy(action: str, **rule: Any) -> Json:
    return {"rules": [{"action": action, **rule}]}


CODES: Json = {"onExitCodes": {"operator": "In", "values": [3, 4]}}


def test_a_failure_policy_fails_the_job_at_once() -> None:
    subject = job(backoffLimit=6, podFailurePolicy=policy("FailJob", **CODES))
    settle(subject, indexed_pod(0, "Failed", "x", code=4))
    assert condition_triples(subject)[-1] == ("Failed", "True", "PodFailurePolicy")
    message = "Container main for pod n/x failed with exit code 4 matching FailJob rule at index 0"
    assert subject["status"]["conditions"][-1]["message"] == message


def test_an_ignored_failure_does_not_count() -> None:
    subject = job(backoffLimit=0, podFailurePolicy=policy("Ignore", **CODES))
    decision = settle(subject, indexed_pod(0, "Failed", "x", code=3))
    assert len(decision.create) == 1
    assert not {"failed", "conditions"} & subject["status"].keys()
    settle(subject, indexed_pod(0, "Failed", "y", code=5))
    assert subject["status"]["failed"] == 1


def test_failure_policies_match_codes_containers_and_conditions() -> None:
    subject = job(podFailurePolicy=policy("FailJob", onExitCodes={"operator": "NotIn", "values": [3]}))
    assert pod_failure_policy.match_failure_policy(subject, indexed_pod(0, "Failed", code=3)) is None
    assert pod_failure_policy.match_failure_policy(subject, indexed_pod(0, "Failed", code=5)) is not None
    other = {"operator": "In", "values": [3], "containerName": "other"}
    subject = job(podFailurePolicy=policy("FailJob", onExitCodes=other))
    assert pod_failure_policy.match_failure_policy(subject, indexed_pod(0, "Failed", code=3)) is None
    disrupted = indexed_pod(0, "Failed", "x")
    disrupted["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    subject = job(podFailurePolicy=policy("Ignore", onPodConditions=[{"type": "DisruptionTarget", "status": "True"}]))
    match = pod_failure_policy.match_failure_policy(subject, disrupted)
    assert match is not None
    assert match.message == "Pod n/x has condition DisruptionTarget matching Ignore rule at index 0"


def test_a_fail_index_rule_fails_the_index_at_once() -> None:
    subject = indexed_job(backoffLimitPerIndex=5, backoffLimit=2**31 - 1, podFailurePolicy=policy("FailIndex", **CODES))
    settle(subject, indexed_pod(1, "Failed", code=3), indexed_pod(0, "Running"), indexed_pod(2, "Running"))
    assert subject["status"]["failedIndexes"] == "1"


def test_a_pod_carries_its_index() -> None:
    made: Json = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "main"}]}}
    job_indexes.apply_index(made, "j" * 63, 12, (1, 0))
    assert made["metadata"]["generateName"] == "j" * 54 + "-12-"
    assert made["metadata"]["labels"][job_indexes.INDEX_ANNOTATION] == "12"
    assert made["metadata"]["annotations"] == {
        job_indexes.INDEX_ANNOTATION: "12",
        job_indexes.FAILURE_COUNT_ANNOTATION: "1",
    }
    (variable,) = made["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"


def test_at_most_a_hundred_pods_are_created_at_once() -> None:
    for more in ({}, {"backoffLimitPerIndex": 1}):
        decision = run_sync(indexed_job(completions=2**31 - 1, parallelism=90_000, backoffLimit=2**31 - 1, **more))
        assert [new.index for new in decision.create] == list(range(100))
        assert decision.status is not None
        assert (decision.status["active"], decision.requeue_after) == (100, 0.0)
    assert len(run_sync(job(completions=5000, parallelism=5000)).create) == 100


def test_a_deadline_beyond_the_last_date_never_comes() -> None:
    subject = job({"startTime": "2026-01-02T03:04:05Z"}, activeDeadlineSeconds=2**62)
    assert run_sync(subject, pod("a", "Running")).delete == ()
