"""Whether an event starts a run, and whether a step of it runs."""

from __future__ import annotations

import pytest

from controller.pipeline.conditions import TriggerContext, dependency_policy, evaluate_step, evaluate_trigger


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        (TriggerContext("push", "main"), ""),
        (TriggerContext("push", "dev"), "the branch dev matches none of: main"),
        (TriggerContext("tag", "", "v1"), "the event tag is not among its events: push"),
        (TriggerContext("push", "main", changed=("docs/a.md",)), "no changed file matches any of: src/**"),
        (TriggerContext("push", "main", changed=("docs/a.md", "src/b.py")), ""),
    ],
)
def test_event_starts_a_run_or_has_a_reason_not_to(context: TriggerContext, reason: str) -> None:
    result = evaluate_trigger({"branches": ["main"], "paths": ["src/**"]}, context)
    assert (result.runs, result.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("conditional", "context", "reason"),
    [
        (None, TriggerContext(), ""),
        ({"branch": "main"}, TriggerContext("push", "main"), ""),
        ({"branch": "main"}, TriggerContext("push", "dev"), "it runs on branch main, and this is dev"),
        ({"event": "tag"}, TriggerContext("push", "main"), "it runs on tag, and this is push"),
        ({"tag": "v*"}, TriggerContext("tag", "", "v1"), ""),
        ({"tag": "v*"}, TriggerContext("push", "main"), "it runs on tag v*, and this is no tag"),
        ({"paths": ["a"]}, TriggerContext("push", "main", changed=("b",)), "no changed file matches any of: a"),
        ({"paths": ["a"]}, TriggerContext("push", "main"), ""),
    ],
)
def test_step_runs_or_has_a_reason_not_to(conditional: dict[str, object], context: TriggerContext, reason: str) -> None:
    result = evaluate_step(conditional, context)
    assert (result.runs, result.reason) == (not reason, reason)


def test_on_success_false_is_when_always() -> None:
    assert [
        dependency_policy(c) for c in (None, {}, {"onSuccess": True}, {"onSuccess": False}, {"when": "failure"})
    ] == [
        "success",
        "success",
        "success",
        "always",
        "failure",
    ]
