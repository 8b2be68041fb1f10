"""What a pipeline means: which events start it, which steps run, which values they get."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.conditions import Occasion, match, matches, step_runs, when
from controller.pipeline.model import Pipeline
from controller.pipeline.params import resolve
from controller.pipeline.templates import fill, uses
from controller.pipeline.values import duration, quantity
from controller.pipeline.variables import RunFacts, step_environment, template_values

_quick = settings(max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("glob", "fits", "does_not"),
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
def test_a_glob_fits_what_it_should(glob: str, fits: list[str], does_not: list[str]) -> None:
    assert [text for text in fits if not matches(glob, text)] == []
    assert [text for text in does_not if matches(glob, text)] == []


@_quick
@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?"]), max_size=7),
    st.text(st.sampled_from("ab/"), max_size=8),
)
def test_globs_agree_with_regular_expressions(parts: list[str], text: str) -> None:
    glob = "".join(parts)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pattern = re.sub(r"\*\*/|\*\*|\*|\?", lambda found: words[found.group()], glob)
    assert matches(glob, text) == (glob == "*" or re.fullmatch(pattern, text) is not None)


@pytest.mark.timeout(10)
def test_no_glob_takes_long() -> None:
    assert not matches("*a" * 127, "a" * 254 + "b")


@pytest.mark.parametrize(
    ("occasion", "why"),
    [
        (Occasion("push", "main"), ""),
        (Occasion("push", "dev"), "the branch dev matches none of: main"),
        (Occasion("tag", "", "v1"), "the event tag is not among its events: push"),
        (Occasion("push", "main", changed=("docs/a.md",)), "no changed file matches any of: src/**"),
        (Occasion("push", "main", changed=("docs/a.md", "src/b.py")), ""),
    ],
)
def test_an_event_starts_a_run_or_it_is_said_why_not(occasion: Occasion, why: str) -> None:
    verdict = match({"branches": ["main"], "paths": ["src/**"]}, occasion)
    assert (verdict.runs, verdict.why) == (not why, why)


@pytest.mark.parametrize(
    ("conditional", "occasion", "why"),
    [
        (None, Occasion(), ""),
        ({"branch": "main"}, Occasion("push", "main"), ""),
        ({"branch": "main"}, Occasion("push", "dev"), "it runs on branch main, and this is dev"),
        ({"event": "tag"}, Occasion("push", "main"), "it runs on tag, and this is push"),
        ({"tag": "v*"}, Occasion("tag", "", "v1"), ""),
        ({"tag": "v*"}, Occasion("push", "main"), "it runs on tag v*, and this is no tag"),
        ({"paths": ["a"]}, Occasion("push", "main", changed=("b",)), "no changed file matches any of: a"),
        ({"paths": ["a"]}, Occasion("push", "main"), ""),
    ],
)
def test_a_step_runs_or_it_is_said_why_not(conditional: dict[str, object], occasion: Occasion, why: str) -> None:
    verdict = step_runs(conditional, occasion)
    assert (verdict.runs, verdict.why) == (not why, why)


def test_on_success_false_is_when_always() -> None:
    assert [when(c) for c in (None, {}, {"onSuccess": True}, {"onSuccess": False}, {"when": "failure"})] == [
        "success",
        "success",
        "success",
        "always",
        "failure",
    ]


def test_values_take_the_place_of_variables_and_are_not_looked_into_again() -> None:
    values = {"params.x": "{{run.name}}", "matrix.go-version": "1.21"}
    assert fill("a {{ params.x }} b", values) == "a {{run.name}} b"
    assert fill("go:${{matrix.go-version}}", values) == "go:1.21"
    assert fill("{{.Names}} {{params.y}} {{hash go.sum}}", values) == "{{.Names}} {{params.y}} {{hash go.sum}}"


@_quick
@given(st.text(st.sampled_from("{}$ab. "), max_size=30), st.text(max_size=10))
def test_filling_changes_only_known_variables(text: str, value: str) -> None:
    assert fill(text, {}) == text
    if not list(uses(text)):
        assert fill(text, {"a": value, "b": value, "a.b": value}) == text


def test_a_step_gets_what_is_documented_and_the_later_one_wins() -> None:
    step = {
        "name": "a",
        "image": "b",
        "commands": ["c"],
        "env": {"X": "step {{matrix.py}}", "PARAM_P": "mine", "CI": "no"},
    }
    pipeline = Pipeline.model_validate({"name": "x", "env": {"X": "pipeline", "Y": "{{run.number}}"}, "steps": [step]})
    facts = RunFacts("x-7", "7", "abc-dirty", "main", {"p": "v", "other": "w"})
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
    assert template_values(facts, {"py": "3.12"})["params.p"] == "v"


def test_parameters_are_resolved_or_it_is_said_what_is_wrong() -> None:
    declared = [{"name": "target", "default": "dev", "options": ["dev", "prod"]}, {"name": "who"}]
    assert resolve(declared, {"who": "me"}) == ({"target": "dev", "who": "me"}, [])
    values, problems = resolve(declared, {"target": "test", "whom": "me"})
    assert values == {}
    assert dict(problems) == {
        "whom": "the pipeline has no parameter `whom`; did you mean `who`?",
        "target": "`target` can't be 'test'; it can be dev, prod",
        "who": "the parameter `who` has no default: give it a value",
    }


@_quick
@given(st.integers(0, duration.LONGEST))
def test_a_duration_is_read_as_it_is_written(total: int) -> None:
    assert duration.seconds(duration.written(total)) == total


@pytest.mark.parametrize("text", ["", "10", "m", "1.5h", "-1s", "1d", "10m\n", "١m"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 10m"):
        duration.seconds(text)


@pytest.mark.parametrize(
    ("text", "amount"), [("500m", 0.5), ("2", 2), ("1.5", 1.5), ("1Ki", 1024), ("2Gi", 2**31), ("1M", 1e6)]
)
def test_quantities_are_what_kubernetes_takes_them_for(text: str, amount: float) -> None:
    assert float(quantity.amount(text)) == amount


def test_what_is_no_quantity_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match="such as 500m or 512Mi"):
        quantity.amount("2GB")
