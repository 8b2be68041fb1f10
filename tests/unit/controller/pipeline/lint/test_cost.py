"""What lint costs: files made to be slow are answered within a bounded time."""

import json

import pytest

from controller.pipeline.diagnostics import did_you_mean
from controller.pipeline.lint import check_definition, lint
from tests.support.processor_time import takes_at_most

HEAD = "version: v1alpha1\nname: x\n"
STEP = "steps: [{name: a, image: i, commands: [x]"
ALIKE = "".join(f"- {{name: abcdefgh{i}, image: i, commands: [x], dependsOn: [abcdefgx{i}]}}\n" for i in range(300))
GLOBS = json.dumps(["*a" * 45 + f"b{i}" for i in range(100)])
BRANCHES = "".join(
    f"- {{name: a{i}, image: i, commands: [x], conditional: {{branch: {'a' * 900}{i}}}}}\n" for i in range(300)
)
FILES = {
    "names alike": HEAD + "steps:\n" + ALIKE,
    "branches and globs": HEAD + f"branches: {GLOBS}\nsteps:\n" + BRANCHES,
    "spaces in a reference": HEAD + STEP + ", env: {A: '{{hash a" + " " * 900_000 + "'}}]\n",
    "spaces before a name": HEAD + STEP + ", env: {A: '{{" + " " * 900_000 + "'}}]\n",
    "a reference without end": HEAD + STEP + ", env: {A: '{{hash " + "a " * 450_000 + "'}}]\n",
    "references": HEAD + STEP + ", env: {A: '" + "{{params.x}}" * 70_000 + "'}}]\n",
    "braces": HEAD + STEP + ", env: {A: '" + "{" * 900_000 + "'}}]\n",
    "parameters and references": HEAD
    + "params:\n"
    + "".join(f"- {{name: p{i}}}\n" for i in range(9_000))
    + STEP
    + ", env: {A: '"
    + "{{params.p8999}}" * 20_000
    + "'}}]\n",
    "all steps on all": HEAD
    + "steps:\n"
    + "".join(
        f"- {{name: s{i}, image: i, commands: [x], dependsOn: [{','.join(f's{j}' for j in range(i))}]}}\n"
        for i in range(300)
    ),
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_file_made_to_be_slow_is_checked_in_seconds(text: str) -> None:
    with takes_at_most(4):
        lint(text)


def test_suggestions_end_when_too_much_was_compared() -> None:
    steps = [
        {"name": f"abcdefgh{i}", "image": "i:1", "commands": ["x"], "dependsOn": [f"abcdefgx{i}"]} for i in range(300)
    ]
    found = [each for each in check_definition({"name": "x", "steps": steps}) if each.code == "unknown-dependency"]
    assert found[0].hint.startswith("did you mean `abcdefgh")
    assert found[-1].hint.startswith("the other steps: ")


def test_a_single_suggestion_is_limited_too() -> None:
    assert did_you_mean("abcdefgx", ["abcdefgh"])
    assert not did_you_mean("abcdefgx", [f"abcdefgh{i}" for i in range(10_000)])
