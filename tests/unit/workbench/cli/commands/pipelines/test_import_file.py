"""`c8s import`: what it writes and prints, and what it never overwrites."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.workbench.importer.github.test_workflow import CI
from workbench.cli.commands.pipelines.import_file import import_file
from workbench.cli.main import main
from workbench.pipeline_file.load import lint_pipeline


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ci.yml").write_text(CI)
    return tmp_path


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(import_file, list(arguments), input=given)


def test_file_is_written_and_a_summary_is_printed(folder: Path) -> None:
    result = run("ci.yml")
    assert result.exit_code == 0, result.exception
    assert not lint_pipeline((folder / ".c8s.yaml").read_bytes()).has_errors
    assert "GitHub Actions: 3 steps with 4 commands, 3 dependencies, 1 matrix, 1 service, 1 condition" in result.stdout
    assert "  test: line 26: windows-latest left out of the matrix" in result.stdout
    assert "  secret to set: c8s secrets set ci-build NPM_TOKEN" in result.stdout
    assert "Wrote .c8s.yaml. Next: c8s lint .c8s.yaml" in result.stdout


def test_result_alone_is_printed_to_standard_output(folder: Path) -> None:
    result = run("-", "-o", "-", given=CI)
    assert not lint_pipeline(result.stdout).has_errors
    assert "To look at:" in result.stderr
    assert not (folder / ".c8s.yaml").exists()


def test_existing_file_is_overwritten_only_by_force(folder: Path) -> None:
    (folder / ".c8s.yaml").write_text("mine")
    assert ".c8s.yaml exists already" in str(run("ci.yml").exception)
    assert (folder / ".c8s.yaml").read_text() == "mine"
    assert run("ci.yml", "--force").exit_code == 0
    assert (folder / ".c8s.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yml"], "can't read none.yml: No such file or directory"),
        (["."], ". is a folder; name a file in it"),
        (["ci.yml", "-o", "none/x.yaml"], "the folder none does not exist"),
        (["ci.yml", "--from", "argo"], "can't import ci.yml: the file has no Workflow"),
        (["bad.yml"], "can't import bad.yml: line 1: not YAML"),
    ],
)
def test_bad_input_ends_in_a_message(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yml").write_text("a: [}")
    assert main(["import", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / ".c8s.yaml").exists()


def test_text_of_the_file_reaches_the_terminal_without_control_sequences(folder: Path) -> None:
    (folder / "evil.yml").write_text('on: push\njobs: {a: {"\\e[31mx": 1, runs-on: u, steps: [{run: make}]}}')
    result = run("evil.yml")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\x1b" not in (folder / ".c8s.yaml").read_text()
