"""Workflows of Argo: templates, DAGs, loops, parameters, and handlers."""

from __future__ import annotations

import pytest

from tests.unit.workbench.importer.conversion import REVIEWED, definition, imported, notes, steps
from workbench.importer.source import ImportFileError

HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"
CI = (
    HEAD
    + """
metadata: {generateName: shop-}
spec:
  entrypoint: main
  onExit: tell
  parallelism: 3
  activeDeadlineSeconds: 7200
  arguments: {parameters: [{name: level, value: info, enum: [info, debug]}]}
  templates:
    - name: main
      dag:
        tasks:
          - name: last
            template: compile
            depends: "tests && lint.Succeeded"
            arguments: {parameters: [{name: what, value: last}]}
          - name: build
            template: compile
            arguments: {parameters: [{name: what, value: "{{workflow.parameters.level}}"}]}
          - {name: tests, template: suite, dependencies: [build], arguments: {parameters: [{name: base, value: b}]}}
          - {name: lint, template: script, dependencies: [build], withItems: [a, b]}
          - {name: broken, template: script, depends: build.Failed, withItems: [{k: v}]}
          - {name: maybe, template: script, when: "{{tasks.build.outputs.result}} == yes", continueOn: {failed: true}}
    - name: suite
      inputs: {parameters: [{name: base}]}
      steps:
        - - name: unit
            template: compile
            arguments: {parameters: [{name: what, value: "{{inputs.parameters.base}}-unit"}]}
          - {name: ui, template: nowhere}
        - - {name: report, template: compile, arguments: {parameters: [{name: what, value: report}]}}
    - name: compile
      inputs: {parameters: [{name: what, default: all}]}
      retryStrategy: {limit: 3}
      activeDeadlineSeconds: 300
      container:
        image: golang:1.24
        command: [make]
        args: ["{{inputs.parameters.what}}", "a b"]
        resources: {limits: {cpu: 1}}
    - name: script
      script: {image: python:3.12, command: [python], source: "print('{{item}}')"}
    - name: tell
      container: {image: alpine:3.20, command: [sh, -c], args: ["echo {{workflow.status}}"]}
"""
)


def test_workflow_has_its_limits_and_parameters() -> None:
    found = definition(CI)
    assert (found["name"], found["maxParallel"], found["timeout"]) == ("shop", 3, "2h")
    assert found["params"] == [{"name": "level", "default": "info", "options": ["info", "debug"]}]


def test_templates_are_unfolded_with_their_arguments() -> None:
    found = steps(CI)
    assert found["build"]["commands"] == ["make \"$PARAM_LEVEL\" 'a b'"]
    assert found["tests-unit"]["commands"] == ["make \"b-unit\" 'a b'"]
    assert found["tests-unit"]["dependsOn"] == ["build"]
    assert found["tests-report"]["dependsOn"] == ["tests-unit", "tests-ui"]
    assert found["last"]["dependsOn"] == ["tests-report", "lint"]
    assert (found["build"]["retryPolicy"]["maxRetries"], found["build"]["timeout"]) == (3, "5m")
    assert found["build"]["resources"] == {"cpu": "1"}
    assert found["tests-ui"]["commands"][-1] == "exit 1"


def test_loop_becomes_a_matrix_or_is_written_out() -> None:
    found = steps(CI)
    assert found["lint"]["matrix"]["dimensions"] == {"item": ["a", "b"]}
    assert "print('{{matrix.item}}')" in found["lint"]["commands"][0]
    assert found["lint"]["commands"][1] == "python /tmp/c8s-script"
    assert 'print(\'{"k": "v"}\')' in found["broken-v"]["commands"][0]


def test_conditions_and_the_exit_handler_are_kept() -> None:
    found = steps(CI)
    assert found["broken-v"]["conditional"] == {"when": "failure"}
    assert found["maybe"]["conditional"] == REVIEWED
    assert found["maybe"]["allowFailure"] is True
    assert found["on-exit"]["conditional"] == {"when": "always"}
    assert len(found["on-exit"]["dependsOn"]) == len(found) - 1
    assert "`workflow.status` has no counterpart: set $WORKFLOW_STATUS" in notes(CI)


def test_items_of_a_loop_over_a_dag_are_filled_into_its_tasks() -> None:
    text = (
        HEAD
        + """
spec:
  entrypoint: main
  templates:
    - name: main
      steps:
        - - name: each
            template: inner
            withItems: [x, y]
            arguments: {parameters: [{name: p, value: "{{item}}"}]}
    - name: inner
      inputs: {parameters: [{name: p}]}
      dag:
        tasks:
          - {name: t, template: leaf, arguments: {parameters: [{name: q, value: "<{{inputs.parameters.p}}>"}]}}
    - name: leaf
      inputs: {parameters: [{name: q}]}
      container: {image: alpine:3.20, command: [echo, "{{inputs.parameters.q}}"]}
"""
    )
    assert [(name, step["commands"]) for name, step in steps(text).items()] == [
        ("each-x-t", ['echo "<x>"']),
        ("each-y-t", ['echo "<y>"']),
    ]


def test_cron_workflow_and_sequence_are_read() -> None:
    text = (
        HEAD.replace("Workflow", "CronWorkflow")
        + """
metadata: {name: nightly}
spec:
  schedule: "0 0 * * *"
  workflowSpec:
    entrypoint: main
    templates:
      - {name: main, steps: [[{name: n, template: t, withSequence: {count: 3}}]]}
      - {name: t, container: {image: alpine:3.20, command: [echo, "{{item}}"]}}
"""
    )
    assert steps(text)["n"]["matrix"]["dimensions"] == {"item": ["0", "1", "2"]}


_TREE = "spec:\n  entrypoint: t0\n  templates:\n" + "".join(
    f"    - {{name: t{n}, steps: [[{{name: a, template: t{n + 1}}}, {{name: b, template: t{n + 1}}}]]}}\n"
    for n in range(11)
)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("spec: {workflowTemplateRef: {name: other}}", "is not in this file; it is in the WorkflowTemplate other"),
        (
            "spec: {entrypoint: a, templates: [{name: a, steps: [[{name: b, template: a}]]}]}",
            "the template a calls itself",
        ),
        (
            "spec: {entrypoint: a, templates: [{name: a, dag: {tasks: [{name: x, template: a, dependencies: [y]}, "
            "{name: y, template: a, dependencies: [x]}]}}]}",
            "depend on each other: . -> . -> .",
        ),
        (_TREE + "    - {name: t11, container: {image: a, command: [b]}}\n", "more than 300 steps"),
        (_TREE + "    - {name: t11, steps: []}\n", "no job|too many calls"),
        (
            "spec: {entrypoint: a, templates: "
            "[{name: a, steps: [[{name: b, template: c, withSequence: {count: 999}}]]}]}",
            "more than 300",
        ),
    ],
)
def test_workflow_that_cannot_be_converted_says_why(spec: str, message: str) -> None:
    with pytest.raises(ImportFileError, match=message):
        imported(HEAD + spec)
