"""Proposed pipelines: their steps by layout, and repositories that are damaged, huge or hostile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.project_layouts import LAYOUTS
from workbench.pipeline_file.load import lint_pipeline
from workbench.scaffold.document import write_proposal
from workbench.scaffold.files import MAX_FILE_BYTES, RepositoryFiles
from workbench.scaffold.plan import Proposal
from workbench.scaffold.propose import MAX_PROJECTS, propose


def proposal_for(files: Mapping[str, str | bytes], name: str = "repo") -> Proposal:
    def load(path: str) -> bytes:
        content = files[path]
        return content if isinstance(content, bytes) else content.encode()

    return propose(RepositoryFiles.from_names(name, files, load))


def pipeline_for(files: Mapping[str, str | bytes], name: str = "repo") -> dict[str, Any]:
    """The definition, which lint has nothing to say about but hints."""
    text = write_proposal(proposal_for(files, name))
    outcome = lint_pipeline(text)
    assert [problem for problem in outcome.problems if problem.severity != "hint"] == [], text
    assert outcome.definition is not None
    return dict(outcome.definition)


def step_of(definition: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(step for step in definition["steps"] if step["name"] == name)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_gets_its_steps(name: str) -> None:
    layout = LAYOUTS[name]
    definition = pipeline_for(layout.files)
    assert definition["steps"][0]["image"] == layout.image
    for step, commands in layout.commands.items():
        given = " \n".join(step_of(definition, step)["commands"])
        assert [command for command in commands if command not in given] == []


def test_steps_of_a_monorepo_run_in_their_folders() -> None:
    definition = pipeline_for(LAYOUTS["monorepo"].files)
    assert {step["name"]: step["workingDir"] for step in definition["steps"]} == {
        "services-api-test": "services/api",
        "services-api-package": "services/api",
        "web-test": "web",
    }


def test_results_of_pytest_are_reported() -> None:
    files = {"api/pyproject.toml": "[project]\nname = 'a'\n", "api/tests/test_a.py": "def test_a(): pass\n"}
    step = step_of(pipeline_for(files), "api-test")
    assert step["commands"][-1] == "pytest --junitxml=test-results.xml"
    assert (step["workingDir"], step["reports"]) == ("api", {"junit": ["api/test-results.xml"]})
    assert "reports" not in step_of(pipeline_for({"Makefile": "test:\n\ttrue\n"}), "test")


def test_caches_are_keyed_by_the_lock_file_of_their_project() -> None:
    files = {
        "web/package.json": '{"dependencies": {"a": "1"}, "scripts": {"test": "x"}}',
        "web/package-lock.json": "{}",
    }
    step = step_of(pipeline_for(files), "web-test")
    assert step["cache"] == [{"key": "npm-{{hash web/package-lock.json}}", "paths": ["web/.cache/npm"]}]
    assert step["commands"][0] == 'export npm_config_cache="$C8S_WORKSPACE/web/.cache/npm"'


def test_version_from_git_needs_the_history() -> None:
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools-scm"]\n'
        '[project]\nname = "a"\ndynamic = ["version"]\n'
    }
    assert {step["git"] for step in pipeline_for(files)["steps"]} == {"full"}


@pytest.mark.parametrize(
    ("wanted", "image"),
    [
        (">=3.8", "3.13"),
        (">=3.8,<3.11", "3.10"),
        ("<=3.11", "3.11"),
        ("==3.9.*", "3.9"),
        (">=3.14", "3.14"),
        ("~=3.9", "3.13"),
    ],
)
def test_python_is_the_newest_that_the_project_allows(wanted: str, image: str) -> None:
    files = {"pyproject.toml": f'[project]\nname = "a"\nversion = "1"\nrequires-python = "{wanted}"\n'}
    assert pipeline_for(files)["steps"][0]["image"] == f"python:{image}"


def test_test_script_of_npm_init_is_not_run() -> None:
    files = {
        "package.json": '{"version": "1.0.0", "scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'
    }
    assert [step["commands"] for step in pipeline_for(files)["steps"]] == [["npm pack --dry-run"]]


def test_makefile_beside_a_project_is_mentioned() -> None:
    proposal = proposal_for({"package.json": "{}", "Makefile": "test: x\nVAR := y\n"})
    assert proposal.notes == ("Makefile: its targets (test) are not used; a step can call them",)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("pyproject.toml", b"\xff\xfe", "not UTF-8"),
        ("pyproject.toml", b"[project", "not valid TOML"),
        ("pyproject.toml", b"a = " + b"[" * 50_000, "not valid TOML"),
        ("package.json", b"{", "not valid JSON"),
        ("package.json", b"[" * 200_000, "not valid JSON"),
        ("package.json", b" " * (MAX_FILE_BYTES + 1), "larger than 1 MiB"),
    ],
)
def test_file_that_cannot_be_read_is_reported(name: str, content: bytes, why: str) -> None:
    files: dict[str, str | bytes] = {name: content, "Makefile": "test:\n"}
    assert any(f"{name} is ignored: " in note and why in note for note in proposal_for(files).notes)
    assert pipeline_for(files)["steps"]


@pytest.mark.parametrize(
    "content",
    [
        '{"name": 7, "scripts": [], "workspaces": {}, "engines": "x", "dependencies": "y", "packageManager": []}',
        '{"scripts": {"test": ["a"], "lint": null}, "engines": {"node": {}}}',
        "[]",
    ],
)
def test_values_of_unexpected_types_count_as_missing(content: str) -> None:
    assert pipeline_for({"package.json": content})["steps"]


@pytest.mark.parametrize("folder", ["a b", "$(touch x)", "a\nb", "{{params.x}}", "-rf", "a'b", "\udcff", "ü"])
def test_folder_whose_name_needs_quotes_is_left_out(folder: str) -> None:
    files = {f"{folder}/go.mod": "module a\n", "package.json": "{}"}
    definition = pipeline_for(files)
    assert all("workingDir" not in step for step in definition["steps"])
    assert "is left out" in proposal_for(files).notes[0]


def test_hostile_contents_reach_no_command() -> None:
    evil = "x; rm -rf $HOME"
    files = {
        "package.json": '{"name": "' + evil + '", "version": "1.0.0", "packageManager": "npm@' + evil + '"}',
        ".nvmrc": evil,
        "go.mod": f"module {evil}\ngo 1.21; {evil}\n",
        "go.work": f"use ./{evil}\n",
        "requirements-dev.txt": f"ruff=={evil}'\n",
        "ruff.toml": "",
        "a.py": "",
        "setup.py": "",
    }
    commands = [command for step in pipeline_for(files)["steps"] for command in step["commands"]]
    assert [command for command in commands if "rm" in command] == []


def test_projects_beyond_the_limit_are_named() -> None:
    files = {f"p{number:02}/go.mod": "module a\n" for number in range(MAX_PROJECTS + 2)}
    proposal = proposal_for(files)
    assert len(proposal.projects) == MAX_PROJECTS
    assert "Without: p20, p21" in proposal.notes[0]
    assert len(pipeline_for(files)["steps"]) == 2 * MAX_PROJECTS


def test_names_of_steps_are_unique_when_folders_look_alike() -> None:
    files = {"a-b/go.mod": "module a\n", "a_b/go.mod": "module b\n", "a/b/go.mod": "module c\n"}
    names = [step["name"] for step in pipeline_for(files)["steps"]]
    assert len(set(names)) == len(names) == 6


@pytest.mark.parametrize(("folder", "name"), [("My App", "my-app"), ("...", "pipeline"), ("é" * 100, "pipeline")])
def test_pipeline_is_named_after_the_folder(folder: str, name: str) -> None:
    assert pipeline_for({"a": ""}, folder)["name"] == name
