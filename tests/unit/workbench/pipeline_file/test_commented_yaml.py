"""Written definitions read back as they were, with their comments in place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.pipeline_file.commented_yaml import Commented, write_pipeline_text
from workbench.pipeline_file.load import lint_pipeline
from workbench.text.sanitize import has_hidden_characters

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "",
        "yes",
        "3.10",
        "~",
        "a: b",
        "a #b",
        "- a",
        "a\n",
        "a\n\n",
        " a\nb",
        "a\n \nb",
        "\t",
        "'",
        '"',
        "{{x}}",
        "#",
        "a:",
        "|",
    ]
)
_VALUE: st.SearchStrategy[Any] = st.recursive(
    _TEXT | st.booleans() | st.integers(-9, 9),
    lambda inner: st.lists(_TEXT, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["env", "commands", "steps", "x"]), _VALUE), st.text(max_size=200))
def test_values_read_back_as_written(definition: dict[str, Any], comment: str) -> None:
    commented = {key: Commented(value, (comment,)) for key, value in definition.items()}
    assert yaml.safe_load(write_pipeline_text(commented, [comment])) == (definition or None)


@settings(deadline=None)
@given(st.lists(_TEXT.filter(lambda text: text.strip() and "\0" not in text), min_size=1, max_size=4))
def test_commands_reach_the_pipeline_unchanged(commands: list[str]) -> None:
    step = {"name": "a", "image": "busybox:1.36", "commands": commands}
    text = write_pipeline_text({"version": "v1alpha1", "name": "a", "steps": [step]})
    outcome = lint_pipeline(text)
    read = yaml.safe_load(text)
    assert read["steps"][0]["commands"] == commands
    if outcome.definition is not None:
        assert outcome.definition["steps"][0]["commands"] == commands


def test_comments_stand_above_what_they_explain() -> None:
    step = Commented({"name": Commented("a", ("the name",)), "env": {"A": Commented("1", ("a number",))}}, ("first",))
    text = write_pipeline_text({"name": "b", "steps": [step, {"name": "c"}]}, ["header"])
    assert text == (
        "# header\nname: b\nsteps:\n  # first\n  # the name\n  - name: a\n    env:\n      # a number\n"
        '      A: "1"\n\n  - name: c\n'
    )


def test_long_comments_are_wrapped() -> None:
    lines = write_pipeline_text({"a": "b"}, ["word " * 60]).splitlines()
    assert all(len(line) <= 120 and line.startswith("# ") for line in lines[:-1])
    assert len(lines) > 3


_HIDDEN = "\x1b]0;x\x07\u202ea\u200b\u2066\u2028\u00ad\U000e0061\x9b\ufeff"


@pytest.mark.parametrize("value", [_HIDDEN, [_HIDDEN], {_HIDDEN: "日本"}, f"日本\n{_HIDDEN}\n", [f"{_HIDDEN}: [a"]])
def test_nothing_that_a_terminal_acts_on_is_written(value: Any) -> None:
    text = write_pipeline_text({"env": Commented(value, (f"a {_HIDDEN} 日本",))}, [_HIDDEN])
    assert not has_hidden_characters(text)
    assert "日本" in text
    assert yaml.safe_load(text) == {"env": value}
