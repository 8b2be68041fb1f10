"""What the pipeline file of a repository makes of a run."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.resolve import MAX_PROBLEMS, resolve_definition
from controller.run_types.phases import RunPhase
from controller.run_types.reasons import RunReason

FILE = """\
version: v1alpha1
name: ci
branches: [main]
events: [push, pull_request, tag]
steps:
  - {name: a, image: "busybox:1.36", commands: ["true"]}
"""


def resolve(text: str = FILE, *, changed: list[str] | None = None, **spec: Any) -> Any:
    document: dict[str, Any] = {"definition": {"text": text}}
    if changed is not None:
        document["changedFiles"] = changed
    return resolve_definition(document, {"event": "push", "branch": "main", **spec})


def test_the_definition_is_normalized_as_a_run_carries_it() -> None:
    found = resolve(FILE + "env: [{name: A, value: b}]\n")
    assert found.verdict is None
    assert found.definition["name"] == "ci"
    assert found.definition["env"] == {"A": "b"}
    assert "version" not in found.definition


def test_a_branch_that_the_pipeline_does_not_name_ends_the_run_with_the_reason() -> None:
    verdict = resolve(branch="topic").verdict
    assert (verdict.phase, verdict.reason) == (RunPhase.CANCELLED, RunReason.NOT_TRIGGERED)
    assert "the branch topic matches none of: main" in verdict.message


def test_a_tag_is_matched_by_its_event() -> None:
    assert resolve(event="tag", branch="v1").verdict is None
    assert resolve(FILE.replace(", tag", ""), event="tag", branch="v1").verdict is not None


def test_a_run_that_a_person_started_is_not_matched() -> None:
    assert resolve(event="manual", branch="topic").verdict is None


def test_paths_are_matched_with_the_files_that_git_found() -> None:
    text = FILE + 'paths: ["src/**"]\n'
    assert resolve(text, changed=["src/a"]).changed_files == ("src/a",)
    assert resolve(text, changed=["docs/a"]).verdict.reason == RunReason.NOT_TRIGGERED
    assert resolve(text).verdict is None, "unknown files: every condition holds"
    assert resolve(text, changed=["docs/a"], changedFiles=["src/a"]).verdict is None, "the run's own come first"


def test_a_commit_that_skips_ci_ends_the_run() -> None:
    verdict = resolve(trigger={"message": "Fix [skip ci]"}).verdict
    assert "[skip ci]" in verdict.message


def test_an_error_has_file_line_and_column() -> None:
    verdict = resolve(FILE + "stepz: []\n", pipelineFile="ci/main.yaml").verdict
    assert (verdict.phase, verdict.reason) == (RunPhase.FAILED, RunReason.INVALID_PIPELINE)
    assert verdict.message.startswith("ci/main.yaml:7:1: ")
    assert verdict.problems[0]["file"] == "ci/main.yaml"
    assert (verdict.problems[0]["line"], verdict.problems[0]["column"]) == (7, 1)


def test_many_errors_are_counted_and_the_first_are_listed() -> None:
    verdict = resolve(FILE + "".join(f"x{n}y: 1\n" for n in range(60))).verdict
    assert len(verdict.problems) == MAX_PROBLEMS
    assert "and 59 more errors" in verdict.message


@pytest.mark.parametrize("text", ["", "\t", "[]", "a: &a [*a]", "\x00", "x", "- " * 3000, "&a " * 500])
def test_a_file_that_is_no_pipeline_ends_the_run(text: str) -> None:
    verdict = resolve(text).verdict
    assert (verdict.phase, verdict.reason) == (RunPhase.FAILED, RunReason.INVALID_PIPELINE)


@pytest.mark.parametrize(
    "document", [{}, {"definition": {}}, {"definition": {"text": None, "problem": "no .c8s.yaml"}}]
)
def test_a_file_that_is_missing_ends_the_run(document: dict[str, Any]) -> None:
    verdict = resolve_definition(document, {}).verdict
    assert verdict is not None
    assert verdict.reason == RunReason.INVALID_PIPELINE
    assert ".c8s.yaml" in verdict.message
