"""`c8s init`: what it writes, what it prints, and what it never overwrites."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.project_layouts import LAYOUTS
from workbench.cli.commands.pipelines.init import init


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    monkeypatch.chdir(root)
    return LAYOUTS["python-unittest"].write(root)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(init, list(arguments))


def test_file_is_written_and_what_was_found_is_printed(folder: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.exception
    assert "python -m unittest" in (folder / ".c8s.yaml").read_text()
    assert ".: Python, unittest (setup.cfg)" in result.stdout
    assert f"Wrote {folder / '.c8s.yaml'}. Next: c8s run" in result.stdout


def test_file_is_written_at_the_root_of_the_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "tests")
    assert run().exit_code == 0
    assert (folder / ".c8s.yaml").is_file()
    assert not (folder / "tests" / ".c8s.yaml").exists()


def test_dry_run_prints_the_file_alone_to_standard_output(folder: Path) -> None:
    result = run("--dry-run")
    assert result.exit_code == 0
    assert not (folder / ".c8s.yaml").exists()
    assert "Python, unittest" in result.stderr
    run()
    assert result.stdout == (folder / ".c8s.yaml").read_text()


@pytest.mark.parametrize("name", [".c8s.yaml", ".c8s.yml"])
def test_existing_file_is_overwritten_only_by_force(folder: Path, name: str) -> None:
    (folder / name).write_text("mine")
    assert "exists already; overwrite it with --force" in str(run().exception)
    assert run("--dry-run").exit_code == 0
    assert (folder / name).read_text() == "mine"
    assert run("--force").exit_code == 0
    assert (folder / name).read_text() != "mine"
    assert [path.name for path in folder.glob(".c8s.*")] == [name]


def test_link_to_nowhere_counts_as_existing(folder: Path, tmp_path: Path) -> None:
    (folder / ".c8s.yaml").symlink_to(tmp_path / "elsewhere")
    assert run().exit_code != 0
    assert not (tmp_path / "elsewhere").exists()


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"scripts": {"test": "secret"}}')
    (folder / "package.json").symlink_to(tmp_path / "package.json")
    assert "Node" not in run("--dry-run").stderr


def test_folder_that_cannot_be_written_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("controller.files.write_atomic", fail)
    assert f"can't write {folder / '.c8s.yaml'}: No space left on device" in str(run().exception)


def test_home_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert "is your home directory; run this in the folder of a project" in str(run().exception)
    assert not (tmp_path / ".c8s.yaml").exists()
