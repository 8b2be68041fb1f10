"""Pipelines of Tekton: tasks, parameters, matrices, and containers."""

from __future__ import annotations

import pytest

from tests.unit.workbench.importer.conversion import REVIEWED, definition, imported, notes, steps
from workbench.importer.source import ImportFileError

CI = """
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec:
  params: [{name: target}, {name: flags, type: array, default: [-v, "a b"]}]
  stepTemplate: {env: [{name: LEVEL, value: info}]}
  steps:
    - name: compile
      image: golang:$(params.target)
      computeResources: {limits: {memory: 1Gi}, requests: {cpu: 500m, memory: 10Mi}}
      env: [{name: KEY, valueFrom: {secretKeyRef: {name: keys, key: api}}}]
      script: |
        #!/usr/bin/env bash
        go build -tags $(params.target) -o $(workspaces.source.path)/app
    - image: golang:$(params.target)
      workingDir: sub
      command: [go, test]
      args: ["./...", "$(params.flags)", "--run=$(context.pipelineRun.name)"]
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: Shop CI}
spec:
  description: Builds the shop
  params: [{name: go-version, default: "1.24", description: Version}, {name: token}]
  workspaces: [{name: source}]
  tasks:
    - {name: fetch, taskRef: {name: git-clone}}
    - name: build
      runAfter: [fetch]
      taskRef: {name: build}
      retries: 2
      timeout: 1h30m
      params: [{name: target, value: $(params.go-version)}]
    - name: check
      runAfter: [build]
      matrix: {params: [{name: os, value: [linux, darwin]}]}
      taskSpec:
        params: [{name: os}]
        sidecars: [{name: db, image: postgres:16, env: [{name: POSTGRES_PASSWORD, value: x}]}]
        steps: [{image: alpine:3.20, script: "check $(params.os) $(tasks.build.results.digest)"}]
    - name: scan
      when: [{input: $(params.token), operator: in, values: [x]}]
      taskRef: {name: elsewhere}
  finally:
    - {name: tell, taskSpec: {steps: [{image: alpine:3.20, command: [sh, -c], args: ["echo $(params.token)"]}]}}
"""


def test_pipeline_is_described_and_parameterised() -> None:
    found = definition(CI)
    assert (found["name"], found["description"]) == ("shop-ci", "Builds the shop")
    assert found["params"] == [
        {"name": "go_version", "description": "Version", "default": "1.24"},
        {"name": "token"},
    ]


def test_task_becomes_a_step_with_its_parameters_filled_in() -> None:
    build = steps(CI)["build"]
    assert build["image"] == "golang:{{params.go_version}}"
    assert build["shell"] == "bash"
    assert build["commands"] == [
        "go build -tags $PARAM_GO_VERSION -o $C8S_WORKSPACE/app",
        '(\ncd "sub"\ngo test ./... "-v a b" "--run=$C8S_RUN"\n)',
    ]
    assert build["env"] == {"LEVEL": "info"}
    assert build["secrets"] == [{"secretRef": "keys", "key": "api", "envVar": "KEY"}]
    assert build["resources"] == {"cpu": "500m", "memory": "1Gi"}
    assert build["retryPolicy"]["maxRetries"] == 2
    assert build["timeout"] == "90m"
    assert "dependsOn" not in build


def test_matrix_sidecars_and_results_are_kept_as_far_as_they_can_be() -> None:
    check = steps(CI)["check"]
    assert check["matrix"]["dimensions"] == {"os": ["linux", "darwin"]}
    assert check["commands"] == ["check {{matrix.os}} $TASKS_BUILD_RESULTS_DIGEST"]
    assert check["services"][0]["ready"] == {"port": 5432}
    assert "`tasks.build.results.digest` has no counterpart: set $TASKS_BUILD_RESULTS_DIGEST" in notes(CI)


def test_conditions_are_reviewed_and_finally_runs_always() -> None:
    found = steps(CI)
    assert found["scan"]["conditional"] == REVIEWED
    assert found["scan"]["commands"][-1] == "exit 1"
    assert found["tell"]["conditional"] == {"when": "always"}
    assert found["tell"]["dependsOn"] == ["build", "check", "scan"]
    assert found["tell"]["commands"] == ["echo $PARAM_TOKEN"]
    assert "fetch is left out: every step has the source in its workspace" in notes(CI)


def test_steps_with_different_images_become_a_chain() -> None:
    text = """
    apiVersion: tekton.dev/v1
    kind: Pipeline
    spec:
      tasks:
        - name: a
          taskSpec:
            steps:
              - {name: one, image: alpine:3.20, script: make}
              - {name: two, image: python:3.12, script: "#!/usr/bin/python3 -u\\nprint(1)"}
        - {name: b, runAfter: [a], taskSpec: {steps: [{image: alpine:3.20, command: [make]}]}}
    """
    found = steps(text)
    assert list(found) == ["a-one", "a", "b"]
    assert (found["a"]["dependsOn"], found["b"]["dependsOn"]) == (["a-one"], ["a"])
    assert found["a"]["commands"] == [
        "cat > /tmp/c8s-script <<'C8S_SCRIPT'\nprint(1)\nC8S_SCRIPT",
        "/usr/bin/python3 -u /tmp/c8s-script",
    ]


def test_matrix_with_include_is_written_out() -> None:
    text = """
    apiVersion: tekton.dev/v1
    kind: Pipeline
    spec:
      tasks:
        - name: a
          matrix:
            params: [{name: os, value: [linux, mac]}]
            include: [{params: [{name: os, value: mac}, {name: flag, value: -x}]}]
          taskSpec:
            params: [{name: os}, {name: flag, default: ""}]
            steps: [{image: alpine:3.20, script: "make $(params.os) $(params.flag)"}]
    """
    assert [step["commands"] for step in steps(text).values()] == [["make linux "], ["make mac -x"]]


def test_program_of_an_image_is_not_known() -> None:
    text = """
    apiVersion: tekton.dev/v1
    kind: Task
    metadata: {name: t}
    spec: {steps: [{image: tool:1, args: [--all]}]}
    """
    assert steps(text)["run"]["commands"] == ["echo 'not converted: the program of the image of step run' >&2; exit 1"]
    assert "the program of the image tool:1 is not known here" in notes(text)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("kind: PipelineRun\nspec: {pipelineRef: {name: x}}", "no Pipeline"),
        (
            "kind: Pipeline\nspec: {tasks: [{name: a, params: [{name: p, value: '" + "x" * 60_000 + "'}], "
            "taskSpec: {steps: [{image: i, script: '" + "$(params.p)" * 60_000 + "'}]}}]}",
            "larger than 1 MiB",
        ),
    ],
)
def test_pipeline_that_cannot_be_converted_says_why(spec: str, message: str) -> None:
    with pytest.raises(ImportFileError, match=message):
        imported("apiVersion: tekton.dev/v1\n" + spec)
