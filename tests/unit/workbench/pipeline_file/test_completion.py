"""What is offered at a place of a pipeline file, half written or whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.lint import schema
from workbench.pipeline_file.completion import CompletionList, complete

SCHEMA = schema()
FILE = """\
version: v1alpha1
name: shop
params:
  - name: target
    default: dev
matrix:
  dimensions:
    python: ["3.11", "3.12"]
steps:
  - name: lint
    image: ruff
    commands:
      - ruff check
  - name: test
    image: python
    commands: ["pytest"]
    dependsOn: [lint]
  - name: deploy
    image: alpine
    commands:
      - |
        echo one
        echo two
"""


def at(text: str) -> CompletionList:
    """What is offered at the `@` in a text."""
    before, _, after = text.partition("@")
    return complete(before + after, before.count("\n"), len(before.rsplit("\n", 1)[-1]), SCHEMA)


def labels(text: str) -> list[str]:
    return [item.label for item in at(text).items]


def test_an_empty_file_is_offered_the_fields_of_a_pipeline_those_it_must_have_first() -> None:
    assert labels("@")[:3] == ["version", "name", "steps"]


def test_fields_that_are_there_are_not_offered_again() -> None:
    offered = labels("version: v1alpha1\nname: x\n@\nsteps:\n  - name: a\n")
    assert not {"version", "name", "steps"} & set(offered)
    assert "maxParallel" in offered


@pytest.mark.parametrize("begun", ["dep", "DEP", "dO"])
def test_what_is_begun_narrows_it_whatever_its_case(begun: str) -> None:
    assert labels(f"{FILE}    {begun}@")[0] == "dependsOn"


def test_a_step_is_offered_fields_of_a_step() -> None:
    offered = labels(f"{FILE}    @")
    assert {"dependsOn", "timeout", "artifacts"} <= set(offered)
    assert not {"name", "image", "commands", "params", "version"} & set(offered)


def test_the_first_field_behind_a_dash_is_a_field_of_the_item() -> None:
    assert labels("steps:\n  - @")[:3] == ["name", "image", "commands"]
    assert labels("steps:\n- na@")[0] == "name"


def test_fields_below_a_nested_field_are_its_own() -> None:
    assert set(labels(f"{FILE}    conditional:\n      @")) == {"branch", "event", "tag", "paths", "onSuccess", "when"}
    assert set(labels(f"{FILE}    secrets:\n      - secretRef: db\n        @")) == {"key", "envVar", "file"}


def test_values_of_an_enumeration_and_of_a_switch() -> None:
    assert labels(f"{FILE}    conditional:\n      when: @") == ["success", "failure", "always"]
    assert labels(f"{FILE}    allowFailure: @") == ["true", "false"]
    assert labels("version: v1alpha1\nname: x\nevents: [pu@") == ["push", "pull_request"]
    assert labels("name: x\nevents:\n  - @") == ["push", "pull_request", "tag"]


def test_steps_to_depend_on_are_the_other_steps_that_are_not_listed_yet() -> None:
    assert labels(f"{FILE}    dependsOn: [@") == ["lint", "test"]
    assert labels(f"{FILE}    dependsOn: [lint, @") == ["test"]
    assert labels(f"{FILE}    dependsOn:\n      - lint\n      - @") == ["test"]


def test_the_text_of_a_command_is_not_completed() -> None:
    assert labels(FILE.replace("echo two", "ec@ho two")) == []
    assert labels(f"{FILE}    # a com@ment") == []


def test_templates_offer_facts_parameters_and_the_matrix() -> None:
    offered = labels(FILE.replace("image: ruff", 'image: "ruff:{{@"'))
    assert {"run.branch", "params.target", "matrix.python"} <= set(offered)
    choice = at(FILE.replace("image: ruff", 'image: "ruff:{{ par@"'))
    assert choice.items[0].insert == "params.target}}"


def test_a_list_or_a_map_begins_below_with_the_right_indentation() -> None:
    by_name = {item.label: item.insert for item in at(f"{FILE}    @").items}
    assert by_name["conditional"] == "conditional:\n      "
    assert by_name["secrets"] == "secrets:\n      - "
    assert by_name["dependsOn"] == "dependsOn: ["
    assert by_name["timeout"] == "timeout: "


def test_each_field_tells_what_it_is_for() -> None:
    about = {item.label: item.description for item in at(f"{FILE}    @").items}
    assert "Default: 30m" in about["timeout"]
    assert all(about.values())


def test_what_is_there_in_full_is_not_offered() -> None:
    assert labels("version: v1alpha1@") == []


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_place_of_no_text_is_a_trap(data: st.DataObject) -> None:
    text = data.draw(
        st.one_of(st.text(max_size=200), st.sampled_from([FILE, FILE.replace("  ", "\t"), "- - - a: b\n"]))
    )
    lines = text.split("\n")
    line = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[line])))
    found: Any = complete(text, line, column, SCHEMA)
    assert 0 <= found.start <= column
