"""`c8s samples`: the list, copies, and what they never overwrite."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from workbench.cli.commands.pipelines.samples import list_samples, samples
from workbench.cli.main import cli


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(samples, list(arguments))


def test_every_sample_has_a_short_description() -> None:
    found = {sample.name: sample.description for sample in list_samples()}
    assert {"hello", "fan-out", "wordcount"} <= set(found)
    assert all(20 < len(text) <= 110 and text.endswith(".") for text in found.values()), found


def test_samples_are_listed_in_a_table_and_as_json() -> None:
    assert "hello      Three steps in sequence." in run().output
    rows = json.loads(run("-o", "json").output)
    assert [row["name"] for row in rows] == [sample.name for sample in list_samples()]
    assert {row["kind"] for row in rows} == {"file", "folder"}


@pytest.mark.parametrize("arguments", [("hello",), ("copy", "hello"), ("hello.yaml",), ("hello", "-o", ".")])
def test_sample_is_copied_under_its_name(folder: Path, repository: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.output) == (0, "hello.yaml\n")
    assert (folder / "hello.yaml").read_text() == (repository / "samples" / "hello.yaml").read_text()


def test_existing_file_is_overwritten_only_by_force(folder: Path) -> None:
    (folder / "mine.yaml").write_text("mine")
    result = run("hello", "-o", "mine.yaml")
    assert "mine.yaml exists already" in str(result.exception)
    assert (folder / "mine.yaml").read_text() == "mine"
    assert run("hello", "-o", "mine.yaml", "--force").exit_code == 0
    assert (folder / "mine.yaml").read_text() != "mine"


def test_folder_is_copied_with_its_pipeline(folder: Path) -> None:
    assert run("wordcount", "-o", "project").output == "project\n"
    assert (folder / "project" / ".c8s.yaml").is_file()
    assert not list(folder.rglob("__pycache__"))
    (folder / "wordcount").mkdir()
    assert "exists already" in str(run("wordcount").exception)
    assert list((folder / "wordcount").iterdir()) == []


def test_link_is_not_followed_to_overwrite_its_target(folder: Path) -> None:
    (folder / "target").write_text("mine")
    (folder / "hello.yaml").symlink_to("target")
    assert "exists already" in str(run("hello").exception)
    assert (folder / "target").read_text() == "mine"


def test_unknown_sample_gets_a_suggestion() -> None:
    assert "did you mean `fan-out`?" in str(run("fanout").exception)
    assert "`c8s samples` lists them" in str(run("zzz").exception)


def test_missing_folder_is_named() -> None:
    assert "the folder no does not exist" in str(run("hello", "-o", "no/x.yaml").exception)


def test_sample_is_printed() -> None:
    assert run("hello", "-o", "-").output.startswith("# Three steps in sequence.")
    assert "is a folder" in str(run("wordcount", "-o", "-").exception)


@pytest.mark.parametrize("words", [["samples"], ["samples", "copy"]])
def test_names_are_completed(words: list[str]) -> None:
    completions = ShellComplete(cli, {}, "c8s", "_C8S_COMPLETE").get_completions(words, "f")
    assert [item.value for item in completions] == ["failing", "fan-out"]


def test_samples_are_part_of_the_wheel(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"samples": "workbench/samples"}
