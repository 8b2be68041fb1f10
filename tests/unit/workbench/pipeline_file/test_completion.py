"""Completions in incomplete and complete pipeline files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.lint import schema
from tests.support.processor_time import takes_at_most
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
    """The completions at the `@` in a text."""
    before, _, after = text.partition("@")
    return complete(before + after, before.count("\n"), len(before.rsplit("\n", 1)[-1]), SCHEMA)


def labels(text: str) -> list[str]:
    return [item.label for item in at(text).items]


def test_empty_file_offers_required_fields_first() -> None:
    assert labels("@")[:3] == ["version", "name", "steps"]


def test_present_fields_are_not_offered() -> None:
    offered = labels("version: v1alpha1\nname: x\n@\nsteps:\n  - name: a\n")
    assert not {"version", "name", "steps"} & set(offered)
    assert "maxParallel" in offered


@pytest.mark.parametrize("prefix", ["dep", "DEP", "dO"])
def test_prefix_filters_regardless_of_case(prefix: str) -> None:
    assert labels(f"{FILE}    {prefix}@")[0] == "dependsOn"


def test_letters_in_order_match() -> None:
    assert labels("nm@")[:1] == ["name"]


def test_long_names_in_the_file_cost_little() -> None:
    name = "a" * 200_000
    with takes_at_most(1):
        assert labels(f"steps:\n- name: {name}\n- name: b\n  dependsOn: [{'a' * 20}b@]") == []


def test_step_offers_step_fields() -> None:
    offered = labels(f"{FILE}    @")
    assert {"dependsOn", "timeout", "artifacts"} <= set(offered)
    assert not {"name", "image", "commands", "params", "version"} & set(offered)


def test_field_after_a_dash_belongs_to_the_item() -> None:
    assert labels("steps:\n  - @")[:3] == ["name", "image", "commands"]
    assert labels("steps:\n- na@")[0] == "name"


def test_nested_fields_are_offered() -> None:
    assert set(labels(f"{FILE}    conditional:\n      @")) == {"branch", "event", "tag", "paths", "onSuccess", "when"}
    assert set(labels(f"{FILE}    secrets:\n      - secretRef: db\n        @")) == {"key", "envVar", "file"}


def test_enumeration_and_boolean_values_are_offered() -> None:
    assert labels(f"{FILE}    conditional:\n      when: @") == ["success", "failure", "always"]
    assert labels(f"{FILE}    allowFailure: @") == ["true", "false"]
    assert labels("version: v1alpha1\nname: x\nevents: [pu@") == ["push", "pull_request"]
    assert labels("name: x\nevents:\n  - @") == ["push", "pull_request", "tag"]


def test_depends_on_offers_unlisted_other_steps() -> None:
    assert labels(f"{FILE}    dependsOn: [@") == ["lint", "test"]
    assert labels(f"{FILE}    dependsOn: [lint, @") == ["test"]
    assert labels(f"{FILE}    dependsOn:\n      - lint\n      - @") == ["test"]


def test_commands_and_comments_are_not_completed() -> None:
    assert labels(FILE.replace("echo two", "ec@ho two")) == []
    assert labels(f"{FILE}    # a com@ment") == []


def test_templates_offer_run_params_and_matrix() -> None:
    offered = labels(FILE.replace("image: ruff", 'image: "ruff:{{@"'))
    assert {"run.branch", "params.target", "matrix.python"} <= set(offered)
    choice = at(FILE.replace("image: ruff", 'image: "ruff:{{ par@"'))
    assert choice.items[0].insert == "params.target}}"


def test_lists_and_maps_are_inserted_indented() -> None:
    by_name = {item.label: item.insert for item in at(f"{FILE}    @").items}
    assert by_name["conditional"] == "conditional:\n      "
    assert by_name["secrets"] == "secrets:\n      - "
    assert by_name["dependsOn"] == "dependsOn: ["
    assert by_name["timeout"] == "timeout: "


def test_each_field_has_a_description() -> None:
    about = {item.label: item.description for item in at(f"{FILE}    @").items}
    assert "Default: 30m" in about["timeout"]
    assert all(about.values())


def test_complete_value_is_not_offered() -> None:
    assert labels("version: v1alpha1@") == []


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_position_in_any_text_works(data: st.DataObject) -> None:
    text = data.draw(
        st.one_of(st.text(max_size=200), st.sampled_from([FILE, FILE.replace("  ", "\t"), "- - - a: b\n"]))
    )
    lines = text.split("\n")
    line = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[line])))
    found: Any = complete(text, line, column, SCHEMA)
    assert 0 <= found.start <= column
