"""Conditions, templates, parameters and values of pipelines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.conditions import TriggerContext, dependency_policy, evaluate_step, evaluate_trigger, match_ref
from controller.pipeline.model import Pipeline
from controller.pipeline.params import resolve_params
from controller.pipeline.templates import find_references, render
from controller.pipeline.values import duration, quantity
from controller.pipeline.variables import RunContext, step_environment, template_context

_quick = settings(max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("main", ["main"], ["mains", "Main", ""]),
        ("*", ["main", "feature/x", ""], []),
        ("feature/*", ["feature/x"], ["feature/x/y", "feature"]),
        ("feature/**", ["feature/x", "feature/x/y"], ["feature"]),
        ("src/**/*.py", ["src/a.py", "src/x/y/a.py"], ["src/a.pyc", "a.py"]),
        ("**/*.md", ["README.md", "docs/a.md"], ["docs/a.txt"]),
        ("v[0-9].?", ["v1.2"], ["v1.10", "vx.1"]),
        ("v[!0-9]", ["vx"], ["v1"]),
        ("[z-a]", ["[z-a]"], ["z"]),
    ],
)
def test_glob_matches(glob: str, matching: list[str], other: list[str]) -> None:
    assert [text for text in matching if not match_ref(glob, text)] == []
    assert [text for text in other if match_ref(glob, text)] == []


@_quick
@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?"]), max_size=7),
    st.text(st.sampled_from("ab/"), max_size=8),
)
def test_globs_agree_with_regular_expressions(parts: list[str], text: str) -> None:
    glob = "".join(parts)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pattern = re.sub(r"\*\*/|\*\*|\*|\?", lambda found: words[found.group()], glob)
    assert match_ref(glob, text) == (glob == "*" or re.fullmatch(pattern, text) is not None)


@pytest.mark.timeout(10)
def test_pathological_glob_takes_bounded_time() -> None:
    assert not match_ref("*a" * 127, "a" * 254 + "b")


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


def test_rendered_values_are_not_rendered_again() -> None:
    values = {"params.x": "{{run.name}}", "matrix.go-version": "1.21"}
    assert render("a {{ params.x }} b", values) == "a {{run.name}} b"
    assert render("go:${{matrix.go-version}}", values) == "go:1.21"
    assert render("{{.Names}} {{params.y}} {{hash go.sum}}", values) == "{{.Names}} {{params.y}} {{hash go.sum}}"


@_quick
@given(st.text(st.sampled_from("{}$ab. "), max_size=30), st.text(max_size=10))
def test_rendering_changes_only_known_variables(text: str, value: str) -> None:
    assert render(text, {}) == text
    if not list(find_references(text)):
        assert render(text, {"a": value, "b": value, "a.b": value}) == text


def test_step_environment_is_as_documented() -> None:
    step = {
        "name": "a",
        "image": "b",
        "commands": ["c"],
        "env": {"X": "step {{matrix.py}}", "PARAM_P": "mine", "CI": "no"},
    }
    pipeline = Pipeline.model_validate({"name": "x", "env": {"X": "pipeline", "Y": "{{run.number}}"}, "steps": [step]})
    facts = RunContext("x-7", "7", "abc-dirty", "main", {"p": "v", "other": "w"})
    environment = step_environment(
        pipeline, pipeline.steps[0], facts, {"py": "3.12"}, attempt=2, name="a (py=3.12)", workspace="/workspace"
    )
    assert environment == {
        "X": "step 3.12",
        "Y": "7",
        "PARAM_P": "mine",
        "PARAM_OTHER": "w",
        "MATRIX_PY": "3.12",
        "CI": "true",
        "C8S": "true",
        "C8S_RUN": "x-7",
        "C8S_STEP": "a (py=3.12)",
        "C8S_ATTEMPT": "2",
        "C8S_WORKSPACE": "/workspace",
        "C8S_COMMIT": "abc-dirty",
        "C8S_BRANCH": "main",
        "COMMIT_SHA": "abc-dirty",
        "BRANCH": "main",
    }
    assert template_context(facts, {"py": "3.12"})["params.p"] == "v"


def test_parameters_are_resolved_or_reported() -> None:
    declared = [{"name": "target", "default": "dev", "options": ["dev", "prod"]}, {"name": "who"}]
    assert resolve_params(declared, {"who": "me"}) == ({"target": "dev", "who": "me"}, [])
    values, problems = resolve_params(declared, {"target": "test", "whom": "me"})
    assert values == {}
    assert dict(problems) == {
        "whom": "the pipeline has no parameter `whom`; did you mean `who`?",
        "target": "`target` can't be 'test'; it can be dev, prod",
        "who": "the parameter `who` has no default: give it a value",
    }


@_quick
@given(st.integers(0, duration.MAX_SECONDS))
def test_formatted_duration_is_parsed_again(total: int) -> None:
    assert duration.parse_duration(duration.format_duration(total)) == total


@pytest.mark.parametrize("text", ["", "10", "m", "1.5h", "-1s", "1d", "10m\n", "١m"])
def test_invalid_duration_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 10m"):
        duration.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "amount"), [("500m", 0.5), ("2", 2), ("1.5", 1.5), ("1Ki", 1024), ("2Gi", 2**31), ("1M", 1e6)]
)
def test_quantities_are_parsed_like_in_kubernetes(text: str, amount: float) -> None:
    assert float(quantity.parse_quantity(text)) == amount


def test_invalid_quantity_is_rejected_with_an_example() -> None:
    with pytest.raises(ValueError, match="such as 500m or 512Mi"):
        quantity.parse_quantity("2GB")
