"""The committed schemas are what the models say, and lint stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from controller.pipeline import lint
from controller.pipeline.lint.rules.environment import RESERVED
from controller.pipeline.model import Pipeline
from controller.pipeline.schema import PACKAGED_SCHEMA, PUBLISHED_SCHEMA, json_schema, schema_text, structural_schema
from controller.pipeline.variables import RunContext, step_environment

ROOT = Path(__file__).parents[4]
FORMAT = (ROOT / "docs" / "format.md").read_text()


def test_committed_schemas_match_the_models() -> None:
    for place in (PACKAGED_SCHEMA, PUBLISHED_SCHEMA):
        assert place.read_text() == schema_text(), "run `python -m controller.pipeline.schema`"


def test_schema_is_valid_and_describes_every_field() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert [path for path, node in _fields(json_schema(), "") if "description" not in node and "$" not in path] == []


def _fields(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    """Every named field, entries of the list form of `env` and of `strategy` excepted."""
    found = []
    for name, sub in node.get("properties", {}).items():
        found.append((f"{path}.{name}", sub))
        if name not in ("strategy", "env"):
            found += _fields(sub, f"{path}.{name}")
    if "items" in node:
        found += _fields(node["items"], path + "[]")
    return found


def test_schema_accepts_what_lint_accepts() -> None:
    text = (
        "version: v1alpha1\nname: x\nenv: {A: 1, B: on}\nmatrix: {dimensions: {python: [3.10, 3.11]}}\n"
        "steps: [{name: a, image: b:1, commands: ['true'], resources: {cpu: 2}, env: [{name: C, value: 1}]}]\n"
    )
    assert lint.lint(text).diagnostics == ()
    Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


def test_structural_schema_is_valid_in_a_crd() -> None:
    def keywords(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(keywords, node), set())
        if not isinstance(node, dict):
            return set()
        below = [sub for name, sub in node.items() if name != "properties"]
        below += list(node.get("properties", {}).values())
        return set(node).union(*map(keywords, below))

    assert keywords(structural_schema()).isdisjoint({"anyOf", "$ref", "patternProperties", "const", "default", "title"})
    assert structural_schema()["properties"].keys() == {f.alias for f in Pipeline.model_fields.values()}
    assert structural_schema()["required"] == ["name", "steps"], "files without a version are older objects"


def test_lint_does_not_import_pydantic_or_clients() -> None:
    rooms = ", ".join(f"controller.pipeline.{name}" for name in ("lint", "conditions", "params"))
    program = f"import sys, {rooms}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pydantic", "kubernetes", "aiohttp", "asyncio", "textual", "fastapi", "requests"}
    assert heavy.isdisjoint(modules.stdout.split())


# Which argument is the code, in calls that make a diagnostic.
_CODE = {"diagnostic": 1, "diagnostic_at": 1, "read_error": 1, "_report": 2, "Diagnostic": 4}


def _codes(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            code = node.args[_CODE[name]] if len(node.args) > _CODE.get(name, 99) else None
            if isinstance(code, ast.Constant):
                found.add(code.value)
    return found


def test_reference_lists_all_diagnostic_codes() -> None:
    folder = Path(lint.__file__).parent
    codes = set().union(*(_codes(path) for path in folder.parent.rglob("*.py")))
    rows = re.findall(r"^\| (`.*?) \|", FORMAT.partition("## What lint says")[2], re.MULTILINE)
    assert codes == {code for row in rows for code in re.findall("`([^`]+)`", row)}


def test_examples_of_the_reference_are_valid() -> None:
    head = "version: v1alpha1\nname: x\n"
    step = "steps:\n- {name: lint, image: 'b:1', commands: [x]}\n- {name: test, image: 'b:1', commands: [x]}\n"
    tables = FORMAT.partition("## The pipeline")[2].partition("## Matrix")[0]
    of_pipeline, _, of_step = tables.partition("## A step")
    for field, example in re.findall(r"^\| `(\w+)` \|.*\| `(.*)` \|$", of_pipeline, re.MULTILINE):
        text = "".join(line for line in (head + step).splitlines(True) if not line.startswith(f"{field}:"))
        text = text.replace(step.partition("\n")[2], "") if field == "steps" else text
        _accepts(text + example + "\n")
    for field, example in re.findall(r"^\| `(\w+)` \|.*\| `(.*)` \|$", of_step, re.MULTILINE):
        fields = {"name": "name: a", "image": "image: b:1", "commands": "commands: [x]"} | {field: example}
        # It means nothing without them.
        fields |= {"reports": "reports: {junit: [x.xml]}"} if field == "rerunFailed" else {}
        _accepts(head + step + "- " + "\n  ".join(fields.values()) + "\n")


def _accepts(text: str) -> None:
    assert lint.lint(text).diagnostics == (), text


def test_reference_lists_every_field() -> None:
    names = {path.rpartition(".")[2] for path, _ in _fields(json_schema(), "")}
    assert sorted(name for name in names if f"`{name}`" not in FORMAT) == []


def test_reserved_variables_are_those_of_every_step() -> None:
    pipeline = Pipeline.model_validate({"name": "x", "steps": [{"name": "a", "image": "b", "commands": ["c"]}]})
    facts = RunContext("x-1", "1", "abc", "main", {})
    given = step_environment(pipeline, pipeline.steps[0], facts, {}, attempt=1, name="a", workspace="/workspace")
    assert given.keys() == RESERVED
