"""What a Job may ask for, and may change."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.validation import job
from embedded.validation.defaults import set_policy_defaults

Json = dict[str, Any]
TEMPLATE: Json = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]}}


def spec(**more: Any) -> Json:
    given: Json = {"completions": 2, "parallelism": 1, "backoffLimit": 6, "template": TEMPLATE} | more
    set_policy_defaults(given)
    return given


def fields(**more: Any) -> list[str]:
    return [cause.field.removeprefix("spec.") for cause in job.validate_job_spec(spec(**more))]


def rule(**more: Any) -> Json:
    return {"podFailurePolicy": {"rules": [{"action": "FailJob"} | more]}}


CODES = {"operator": "In", "values": [1]}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, []),
        ({"completionMode": "Indexed", "backoffLimitPerIndex": 1, "maxFailedIndexes": 2}, []),
        ({"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 1}]}}, []),
        (rule(onExitCodes=CODES), []),
        (rule(onPodConditions=[{"type": "DisruptionTarget"}]), []),
        ({"managedBy": "example.com/other"}, []),
        ({"backoffLimit": -1}, ["backoffLimit"]),
        ({"parallelism": True}, ["parallelism"]),
        ({"completions": 2**31}, ["completions"]),
        ({"completionMode": "Other"}, ["completionMode"]),
        ({"completionMode": "Indexed", "completions": None}, ["completions"]),
        ({"backoffLimitPerIndex": 1}, ["backoffLimitPerIndex"]),
        ({"completionMode": "Indexed", "maxFailedIndexes": 1}, ["backoffLimitPerIndex"]),
        ({"completionMode": "Indexed", "backoffLimitPerIndex": 1, "maxFailedIndexes": 3}, ["maxFailedIndexes"]),
        ({"podReplacementPolicy": "Never"}, ["podReplacementPolicy"]),
        (rule(onExitCodes=CODES) | {"podReplacementPolicy": "TerminatingOrFailed"}, ["podReplacementPolicy"]),
        ({"successPolicy": {"rules": []}}, ["successPolicy"]),
        ({"completionMode": "Indexed", "successPolicy": {"rules": []}}, ["successPolicy.rules"]),
        ({"completionMode": "Indexed", "successPolicy": {"rules": [{}]}}, ["successPolicy.rules[0]"]),
        (rule(), ["podFailurePolicy.rules[0]"]),
        (rule(action="Explode", onExitCodes=CODES), ["podFailurePolicy.rules[0].action"]),
        (rule(action="FailIndex", onExitCodes=CODES), ["podFailurePolicy.rules[0].action"]),
        (
            rule(onExitCodes={"operator": "In", "values": [0, 1, 1]}),
            ["podFailurePolicy.rules[0].onExitCodes.values[0]", "podFailurePolicy.rules[0].onExitCodes.values[2]"],
        ),
        (rule(onExitCodes=CODES | {"containerName": "x"}), ["podFailurePolicy.rules[0].onExitCodes.containerName"]),
        ({"managedBy": "me"}, ["managedBy"]),
    ],
)
def test_invalid_job_spec_names_its_fields(given: Json, wrong: list[str]) -> None:
    assert fields(**given) == wrong


def test_policy_defaults_are_set() -> None:
    given: Json = {"backoffLimitPerIndex": 1, **rule(onPodConditions=[{"type": "A"}])}
    set_policy_defaults(given)
    assert given["backoffLimit"] == 2**31 - 1
    assert given["podReplacementPolicy"] == "Failed"
    assert given["podFailurePolicy"]["rules"][0]["onPodConditions"] == [{"type": "A", "status": "True"}]


def test_job_update_rules() -> None:
    def changed(old: Json, new: Json) -> list[str]:
        return [cause.field for cause in job.validate_job_spec_update(old, new)]

    assert changed(spec(), spec(parallelism=5)) == []
    assert changed(spec(), spec(completions=5)) == ["spec.completions"]
    assert changed(spec(), spec(managedBy="a.b/c")) == ["spec.managedBy"]
    indexed = spec(completionMode="Indexed")
    assert changed(indexed, spec(completionMode="Indexed", completions=5, parallelism=5)) == []
    assert changed(indexed, spec(completionMode="Indexed", completions=5)) == ["spec.completions"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", 0),
        ("0", 1),
        ("0,2-4", 4),
        ("0-5", 'too large index: "5"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        (
            "0-1-2",
            'the fragment "0-1-2" violates the requirement that an index interval can have at most two parts '
            "separated by '-'",
        ),
    ],
)
def test_succeeded_indexes_are_a_rising_list(text: str, found: int | str) -> None:
    assert job.count_indexes(text, 5) == found
