"""Steps of a run: expanded from matrices, with names and slugs, and ordered."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.graph import dag
from controller.pipeline.graph.expand import (
    ancestors,
    critical_path,
    descendants,
    expand_steps,
    slug_of,
    topological_order,
)
from controller.pipeline.model import Pipeline

_quick = settings(max_examples=100, deadline=None)


def pipeline(*steps: dict[str, Any], **fields: Any) -> Pipeline:
    plain = {"image": "b:1", "commands": ["true"]}
    return Pipeline.model_validate({"name": "x", "steps": [plain | step for step in steps], **fields})


def dimensions(**values: list[str]) -> dict[str, Any]:
    return {"dimensions": values}


def test_dependents_of_a_matrix_step_wait_for_all_of_it() -> None:
    steps = expand_steps(
        pipeline(
            {"name": "lint"},
            {"name": "test", "dependsOn": ["lint"], "matrix": dimensions(python=["3.11", "3.12"])},
            {"name": "build", "dependsOn": ["test", "lint"]},
        )
    )
    assert [(step.name, step.depends_on) for step in steps] == [
        ("lint", ()),
        ("test (python=3.11)", ("lint",)),
        ("test (python=3.12)", ("lint",)),
        ("build", ("test (python=3.11)", "test (python=3.12)", "lint")),
    ]
    assert steps[1].matrix == {"python": "3.11"}


def test_pipeline_matrix_keeps_combinations_apart() -> None:
    matrix = {"dimensions": {"os": ["linux", "mac"], "py": ["3", "4"]}, "exclude": [{"os": "mac", "py": "3"}]}
    steps = expand_steps(pipeline({"name": "a"}, {"name": "b", "dependsOn": ["a"]}, matrix=matrix))
    assert [step.name for step in steps if step.step.name == "a"] == [
        "a (os=linux, py=3)",
        "a (os=linux, py=4)",
        "a (os=mac, py=4)",
    ]
    assert {step.name: step.depends_on for step in steps}["b (os=mac, py=4)"] == ("a (os=mac, py=4)",)


def test_repeated_dependency_counts_once() -> None:
    steps = expand_steps(pipeline({"name": "a"}, {"name": "b", "dependsOn": ["a", "a"]}))
    assert steps[1].depends_on == ("a",)


def test_short_name_is_its_own_slug() -> None:
    assert slug_of("unit-tests") == "unit-tests"


@_quick
@given(st.text(min_size=1, max_size=80))
def test_slug_is_a_short_dns_label(name: str) -> None:
    assert re.fullmatch("[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", slug_of(name))


@_quick
@given(st.sets(st.text(st.sampled_from("aAbB-_. ()=,é"), min_size=1, max_size=60), min_size=2, max_size=20))
def test_different_names_have_different_slugs(names: set[str]) -> None:
    assert len({slug_of(name) for name in names}) == len(names)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Steps that depend on earlier ones only, in a mixed order."""
    names = [f"s{n}" for n in range(draw(st.integers(1, 12)))]
    needs = {name: draw(st.lists(st.sampled_from(names[:n]), unique=True)) if n else [] for n, name in enumerate(names)}
    return {name: needs[name] for name in draw(st.permutations(names))}


@_quick
@given(graphs(), st.integers(1, 3))
def test_topological_order_respects_dependencies(needs: dict[str, list[str]], values: int) -> None:
    matrix = dimensions(v=[str(n) for n in range(values)])
    steps = expand_steps(pipeline(*({"name": n, "dependsOn": w, "matrix": matrix} for n, w in needs.items())))
    assert len(steps) == len(needs) * values
    assert len({step.slug for step in steps}) == len(steps)
    seen: set[str] = set()
    for step in topological_order(steps):
        assert seen.issuperset(step.depends_on)
        seen.add(step.name)
    assert seen == {step.name for step in steps}


@_quick
@given(graphs())
def test_ancestors_mirror_descendants(needs: dict[str, list[str]]) -> None:
    steps = expand_steps(pipeline(*({"name": name, "dependsOn": wanted} for name, wanted in needs.items())))
    above, below = ancestors(steps), descendants(steps)
    assert {(a, b) for b in above for a in above[b]} == {(a, b) for a in below for b in below[a]}
    assert all(name not in found for name, found in above.items())


@_quick
@given(graphs(), st.data())
def test_critical_path_is_the_longest_chain(needs: dict[str, list[str]], data: st.DataObject) -> None:
    steps = expand_steps(pipeline(*({"name": name, "dependsOn": wanted} for name, wanted in needs.items())))
    lengths = {name: float(data.draw(st.integers(0, 9))) for name in needs}
    total, path = critical_path(steps, lengths)
    assert total == sum(lengths[name] for name in path)
    assert all(before in needs[after] for before, after in pairwise(path))

    def longest(name: str) -> float:
        return lengths[name] + max((longest(need) for need in needs[name]), default=0)

    assert total == max(longest(name) for name in needs)


@_quick
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=4)))
def test_cycle_is_found_if_and_only_if_there_is_one(needs: dict[str, list[str]]) -> None:
    found = dag.find_cycle(needs)
    reached = dag.transitive_dependencies(needs)
    assert (found is not None) == any(name in reached[name] for name in needs)
    if found is not None:
        assert found[0] == found[-1]
        assert all(after in needs[before] for before, after in pairwise(found))


def test_deep_graph_does_not_overflow_the_stack() -> None:
    needs = {f"s{n}": [f"s{n + 1}"] for n in range(5_000)} | {"s5000": []}
    assert dag.find_cycle(needs) is None
    assert dag.find_cycle(needs | {"s5000": ["s0"]}) is not None
