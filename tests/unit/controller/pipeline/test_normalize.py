"""Texts are read as written, and both forms of `env` and of a matrix mean the same."""

from __future__ import annotations

from typing import Any

import pytest

from controller.pipeline.lint import lint
from controller.pipeline.model import Pipeline
from controller.pipeline.normalize import normalize_matrix
from tests.unit.controller.pipeline.files import GOOD, HEAD, STEP, codes


def pipeline_of(text: str) -> dict[str, Any]:
    result = lint(text)
    assert result.pipeline is not None, result.diagnostics
    return result.pipeline


@pytest.mark.parametrize("word", ["3.10", "on", "off", "yes", "1_000", "0x1F", "1e3", "007", "2024-01-01", "12:30:45"])
def test_text_stays_as_written(word: str) -> None:
    text = (
        GOOD
        + f"    env: {{A: {word}}}\nmatrix: {{dimensions: {{v: [{word}]}}}}\nparams: [{{name: p, default: {word}}}]\n"
    )
    pipeline = pipeline_of(text)
    assert pipeline["steps"][0]["env"] == {"A": word}
    assert pipeline["matrix"]["dimensions"] == {"v": [word]}
    assert pipeline["params"][0]["default"] == word


@pytest.mark.parametrize(("word", "value"), [("true", True), ("yes", True), ("off", False), ("False", False)])
def test_boolean_words_are_booleans_where_expected(word: str, value: bool) -> None:
    assert pipeline_of(GOOD + f"    allowFailure: {word}\n")["steps"][0]["allowFailure"] is value


def test_env_list_is_converted_to_a_map() -> None:
    as_list = GOOD + "    env: [{name: A, value: 3.10}, {name: B}]\nenv:\n- {name: C, value: on}\n"
    as_map = GOOD + '    env: {A: "3.10", B: ""}\nenv: {C: "on"}\n'
    assert pipeline_of(as_list) == pipeline_of(as_map)
    step = {"name": "a", "image": "b", "commands": ["c"], "env": [{"name": "A", "value": "b"}]}
    assert Pipeline.model_validate({"name": "x", "steps": [step]}).steps[0].env == {"A": "b"}


def test_older_matrix_form_is_converted() -> None:
    older = GOOD + (
        "matrix:\n  strategy:\n  - {dimension: os, values: [linux, darwin]}\n"
        "  - {dimension: version, values: [1.20, 1.21]}\n  exclusions: [{os: darwin, version: 1.20}]\n"
    )
    newer = GOOD + (
        "matrix: {dimensions: {os: [linux, darwin], version: ['1.20', '1.21']}, "
        "exclude: [{os: darwin, version: '1.20'}]}\n"
    )
    assert pipeline_of(older) == pipeline_of(newer)
    assert codes(older) == ["8:3 hint matrix-older-form", "11:3 hint matrix-older-form"]


def test_pipelineconfig_object_is_read_with_its_positions() -> None:
    spec = "".join(f"  {line}\n" for line in STEP.splitlines())
    head = "apiVersion: c8s.dev/v1alpha1\nkind: PipelineConfig\nmetadata: {name: x, namespace: default}\nspec:\n"
    config = head + "  repository: https://example.com/a/b\n" + spec
    assert pipeline_of(config) == pipeline_of(HEAD + "repository: https://example.com/a/b\n" + STEP)
    assert codes(config + "    - name: a\n      image: b:1\n      commands: [x]\n") == ["10:13 error duplicate-step"]
    assert codes(config.replace("name: x,", "")) == ["5:3 error missing-field"]


COMPATIBLE = """\
apiVersion: c8s.dev/v1alpha1
kind: PipelineConfig
metadata: {name: example-go-pipeline}
spec:
  repository: ssh://git@example.com/org/repo
  branches: ["main", "release/*"]
  timeout: 30m
  retryPolicy: {maxRetries: 5, backoffSeconds: 7200}
  matrix:
    dimensions: {go-version: ["1.21", "1.22"], os.name: [linux]}
    exclude: [{go-version: "1.21", os.name: linux}]
  steps:
  - name: test-a-step-with-a-name-that-is-a-good-deal-longer-than-sixty-three-characters
    image: golang:${{matrix.go-version}}
    commands: [go test ./...]
    dependsOn:
    resources: {cpu: 1000m, memory: 2Gi}
    timeout: 45m
    artifacts: [dist/**]
    secrets:
    - {secretRef: registry, key: tls.crt}
    - {secretRef: registry, key: password, envVar: my-password}
    conditional: {branch: main, onSuccess: true}
"""


def test_files_of_the_extended_format_are_valid() -> None:
    assert [p for p in lint(COMPATIBLE).diagnostics if p.severity == "error"] == []
    Pipeline.model_validate(lint(COMPATIBLE).pipeline)


def test_model_dump_equals_its_input() -> None:
    definition = pipeline_of(COMPATIBLE)
    assert Pipeline.model_validate(definition).model_dump(by_alias=True, exclude_unset=True) == definition


def test_older_matrix_entries_of_one_dimension_are_merged() -> None:
    linux, others = {"dimension": "os", "values": ["linux"]}, {"dimension": "os", "values": ["darwin", "linux"]}
    assert normalize_matrix({"strategy": [linux, others]}) == {"dimensions": {"os": ["linux", "darwin"]}}


def test_optional_artifacts_have_a_list_of_their_own() -> None:
    written = "    artifacts: [dist, {path: 1.0, optional: true}, {path: b}, {path: c, optional: false, x-why: y}]\n"
    step = pipeline_of(GOOD + written)["steps"][0]
    assert (step["artifacts"], step["optionalArtifacts"]) == (["dist", "b", "c"], ["1.0"])
    assert Pipeline.model_validate(pipeline_of(GOOD + written)).steps[0].has_artifacts


def test_normalized_optional_artifacts_are_accepted() -> None:
    step = pipeline_of(GOOD + "    optionalArtifacts: [a]\n    artifacts: [{path: b, optional: true}]\n")["steps"][0]
    assert step["optionalArtifacts"] == ["a", "b"]
    assert "artifacts" not in step
