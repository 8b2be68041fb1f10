"""What lint says about the inputs of steps, alone and together with the files of the source."""

from __future__ import annotations

import pytest

from controller.pipeline.lint import lint
from tests.unit.controller.pipeline.files import GOOD, codes

FILES = ("Makefile", "data/a.csv", "scripts/check.sh", "src/app.py", "test/a.py", "tests/test_app.py")


def step(commands: str, inputs: str = "[src]", more: str = "") -> str:
    return GOOD.replace("['true']", commands) + f"    inputs: {inputs}\n{more}"


def warned(text: str) -> list[str]:
    found = lint(text, FILES).diagnostics
    return [each.message.split("`")[1] for each in found if each.code == "input-not-listed"]


def test_inputs_are_valid() -> None:
    assert codes(step("[make]", '[src, "!**/*.md", "{{run.branch}}.txt"]')) == []
    assert codes(step("[make]", "[]")) == []


@pytest.mark.parametrize(
    ("inputs", "expected", "words"),
    [
        ("[/src]", "7:14 error input-outside", "without a leading /"),
        ("[src, ../x]", "7:19 error input-outside", "below the root"),
        ('["!"]', "7:14 error input-outside", "every file"),
        ("[src, src]", "7:19 hint listed-twice", "remove the other"),
        ("src", "7:13 error wrong-type", "must be a list"),
    ],
)
def test_wrong_inputs(inputs: str, expected: str, words: str) -> None:
    assert expected in codes(step("[make]", inputs))
    found = lint(step("[make]", inputs)).diagnostics
    assert any(words in f"{each.message} {each.hint}" for each in found)


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ("['pytest tests/test_app.py src']", ["tests/test_app.py"]),
        ("['pytest tests']", ["tests"]),
        ("['sh ./scripts/check.sh && cat data/a.csv data/a.csv']", ["scripts/check.sh", "data/a.csv"]),
        ("['make test', 'npm run test']", []),
        ("['make -f Makefile x', 'go test ./test/...']", []),
        ("['python src/app.py > /tmp/data/a.csv']", []),
        ("['cat missing.txt']", []),
    ],
)
def test_commands_that_name_other_files(commands: str, expected: list[str]) -> None:
    assert sorted(warned(step(commands))) == sorted(expected)


def test_files_are_named_below_the_working_folder() -> None:
    text = step("['sh check.sh']", more="    workingDir: scripts\n")
    assert warned(text) == ["scripts/check.sh"]
    assert warned(text.replace("[src]", "[src, scripts]")) == []


def test_without_files_or_inputs_nothing_is_compared() -> None:
    text = step("['cat data/a.csv']")
    assert codes(text) == []
    assert warned(text.replace("    inputs: [src]\n", "")) == []
