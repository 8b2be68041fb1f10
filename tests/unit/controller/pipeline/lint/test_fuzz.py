"""Whatever a file holds, lint answers: it never raises, and what it says stands inside the text."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.pipeline import normalize
from controller.pipeline.diagnostics import SourceMap
from controller.pipeline.lint import LintResult, check_definition, lint, rules
from controller.pipeline.model import Pipeline
from controller.pipeline.reader.composer import LINE_BREAKS

ROOT = Path(__file__).parents[5]
SAMPLES = sorted((ROOT / "samples").glob("**/*.yaml"))
_PIECES = (
    *(
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "&a ",
        "*a",
        "<<: *a",
        "\t",
        "\n",
        "\n\n  ",
        "---\n",
        "...",
        "|\n",
        ">-\n",
    ),
    *(
        "!!binary ",
        "!x ",
        "%YAML 9.9\n",
        "? ",
        "#",
        "@",
        "`",
        "null",
        "~",
        "on",
        "3.10",
        "\x00",
        "\ufeff",
        "é",
        "💥",
        "\u2028",
    ),
    *(
        "steps:",
        "matrix: {strategy: [{dimension: a, values: [b]}]}",
        "env: []",
        "dependsOn: [a]",
        "{{matrix.x}}",
        "${{params.y}}",
    ),
)
"""What breaks a file in more interesting ways than a random character does."""

_quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A sample in which parts were cut out, doubled, swapped, or had something put in."""
    text = draw(st.sampled_from(SAMPLES)).read_text()[:3000]
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["cut", "double", "put", "put", "replace"]))
        piece = draw(st.sampled_from(_PIECES))
        middle = {"cut": "", "double": text[start:end] * 2, "put": piece + text[start:end], "replace": piece}[kind]
        text = text[:start] + middle + text[end:]
    return text


def _assert_answered(result: LintResult, text: str) -> None:
    lines = LINE_BREAKS.split(text)
    assert result.diagnostics or result.pipeline is not None
    assert (result.pipeline is None) == bool(result.errors)
    for problem in result.diagnostics:
        assert problem.code
        assert problem.message
        assert "\n" not in problem.message + problem.hint + problem.path
        assert 1 <= problem.line <= len(lines), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
    if result.pipeline is not None:
        # What lint calls good is what the controller takes, and finds nothing wrong with.
        Pipeline.model_validate(result.pipeline)
        assert check_definition(result.pipeline) == ()


@_quick
@given(mutated())
def test_mutated_sample_is_linted(text: str) -> None:
    _assert_answered(lint(text), text.removeprefix("\ufeff"))


@_quick
@given(st.binary(max_size=300))
def test_random_bytes_are_linted(data: bytes) -> None:
    _assert_answered(lint(data), data.decode("utf-8-sig", "replace"))


@_quick
@given(st.text(st.sampled_from("ab:-{}[]&*!|>'\"#%@?, \n\t"), max_size=60))
def test_yaml_punctuation_is_linted(text: str) -> None:
    _assert_answered(lint(text), text)


RICH: dict[str, Any] = yaml.safe_load("""
version: v1alpha1
name: x
branches: [main]
events: [push, tag]
paths: ["src/**"]
params: [{name: target, default: dev, options: [dev, prod]}]
env: {A: "{{params.target}}"}
timeout: 1h
maxParallel: 3
retryPolicy: {maxRetries: 1}
keepOnFailure: true
concurrency: {group: "{{run.branch}}", policy: queue}
matrix: {dimensions: {os: [a, b]}, exclude: [{os: b}]}
steps:
  - {name: a, image: "i:1", commands: [x], artifacts: ["dist/**"], env: [{name: B, value: b}]}
  - name: b
    image: i:1
    commands: ["echo $K | cat", env]
    dependsOn: [a]
    timeout: 2m
    secrets: [{secretRef: s, key: K}, {secretRef: s, key: K, file: f/k}, {secretRef: s, key: K, envVar: L}]
    resources: {cpu: 500m, memory: 1Gi}
    workingDir: d
    allowFailure: true
    keepOnFailure: false
    matrix: {strategy: [{dimension: py, values: ["3.10"]}], exclusions: [{py: "3.10"}]}
    conditional: {branch: main, event: push, tag: v*, paths: [a], when: always}
    cache: [{key: "{{hash go.sum}}", paths: [.cache]}]
    services: [{name: db, image: "i:1", commands: [x], env: {C: d}, ready: {port: 1}}]
""")
"""Every field once, to be spoiled."""

_WORDS = ("", "a", "b", "push", "1h", "echo $K", "{{matrix.os}}", "{{hash a}}", "../a", "/", "*", "failure", "[z-a]")
_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(_WORDS) | st.text(max_size=5)
_keys = st.sampled_from(
    ("name", "dimensions", "strategy", "dimension", "values", "exclude", "file", "when", "onSuccess", "envVar", "a")
)
_json: st.SearchStrategy[Any] = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=5
)


def _everything_in(holder: Any) -> Iterator[tuple[Any, Any]]:
    """(map or list, key or index) of everything in a value, however deep."""
    for place in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, place
        if isinstance(holder[place], dict | list):
            yield from _everything_in(holder[place])


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A pipeline with every field, some of which hold anything at all, are gone, or are new."""
    data = copy.deepcopy(RICH)
    for _ in range(draw(st.integers(1, 4))):
        holder, place = draw(st.sampled_from(list(_everything_in(data))))
        if draw(st.booleans()):
            holder[place] = draw(_json)
        elif isinstance(holder, dict):
            del holder[place]
            holder[draw(_keys)] = draw(_json)
        else:
            holder.append(draw(st.sampled_from(holder) | _json))
    return data


@_quick
@given(spoiled())
def test_rules_do_not_raise_for_data_of_any_shape(data: dict[str, Any]) -> None:
    nowhere = SourceMap({}, {})
    rules.check(data, nowhere, 50)
    rules.check(normalize.normalize_matrices(data), nowhere, 50)


@_quick
@given(spoiled())
def test_definition_of_any_shape_is_checked(data: dict[str, Any]) -> None:
    found = check_definition(data)
    assert all(problem.severity == "error" for problem in found)
    if not found:
        Pipeline.model_validate(data)


@_quick
@given(spoiled())
def test_file_of_any_shape_is_linted(data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1)
    _assert_answered(lint(text), text)


@pytest.mark.parametrize("sample", [*SAMPLES, ROOT / ".c8s.yaml"], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_sample_has_no_diagnostics(sample: Path) -> None:
    # This sample prints its secret to show that logs hide it.
    expected = ["secret-printed"] if sample.name == "secrets.yaml" else []
    assert [problem.code for problem in lint(sample.read_bytes()).diagnostics] == expected
