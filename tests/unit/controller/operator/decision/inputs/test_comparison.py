"""Differences between what a step is made from in two runs."""

from __future__ import annotations

from typing import Any

from controller.operator.decision.inputs.comparison import StepInputs, compare_inputs


def inputs(
    *, files: dict[str, str] | None = None, digest: str = "d", upstream: Any = None, **definition: Any
) -> StepInputs:
    more = {name: definition.pop(name, {}) for name in ("pipeline_env", "params", "matrix")}
    resolved = {
        "definition": {"image": "a:1", "commands": ["make"], **definition},
        "env": more["pipeline_env"],
        "params": more["params"],
        "matrix": more["matrix"],
    }
    return StepInputs(resolved, {"a.py": "1"} if files is None else files, None, upstream or {}, digest)


def differences(before: StepInputs, after: StepInputs) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.change) for each in compare_inputs(before, after)]


def test_equal_inputs_do_not_differ() -> None:
    assert differences(inputs(), inputs()) == []


def test_everything_that_differs_is_named_without_values() -> None:
    before = inputs(
        files={"a.py": "1", "b.py": "1", "c.py": "1"},
        env={"A": "hush", "B": "1"},
        pipeline_env={"P": "1"},
        params={"x": "1"},
        upstream={"build": "1", "lint": "1"},
    )
    after = inputs(
        files={"a.py": "1", "b.py": "2", "d.py": "1"},
        env={"A": "other", "C": "1"},
        pipeline_env={"P": "2"},
        params={"x": "2"},
        upstream={"build": "2", "deps": "1"},
        image="a:2",
        commands=["make all"],
        workingDir="src",
        secrets=[{"secretRef": "db", "key": "password"}],
        digest="e",
    )
    assert differences(before, after) == [
        ("image", "a:2", "~"),
        ("commands", "commands", "~"),
        ("environment", "A", "~"),
        ("environment", "B", "-"),
        ("environment", "C", "+"),
        ("environment", "P", "~"),
        ("parameter", "x", "~"),
        ("secret", "db/password", "+"),
        ("field", "workingDir", "~"),
        ("upstream", "build", "~"),
        ("upstream", "deps", "+"),
        ("upstream", "lint", "-"),
        ("file", "b.py", "~"),
        ("file", "c.py", "-"),
        ("file", "d.py", "+"),
    ]


def test_secrets_have_changed_if_nothing_else_has() -> None:
    uses = {"secrets": [{"secretRef": "db", "key": "password"}]}
    assert differences(inputs(**uses), inputs(**uses, digest="e")) == [("secret", "db/password", "~")]
    assert differences(inputs(**uses), inputs(**uses)) == []


def test_source_differs_as_a_whole_where_files_are_not_known() -> None:
    before, after = (StepInputs(inputs().resolved, None, {"commit": each}) for each in "12")
    assert differences(before, after) == [("source", "source", "~")]
    assert differences(before, before) == []
