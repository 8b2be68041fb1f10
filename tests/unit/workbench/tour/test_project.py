"""The project of the tour: made in a folder of its own, corrected, and changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workbench.tour.project import BOOKS, PRICES, ProjectError, TourProject


@pytest.fixture
def project(tmp_path: Path, repository: Path) -> TourProject:
    made = TourProject(tmp_path / "bookshop", repository / "samples" / "bookshop")
    made.create(40_123)
    return made


def run_tests(project: TourProject, part: str) -> int:
    command = [sys.executable, "-m", "tests", part, "--report", str(project.folder.parent / "report.xml")]
    return subprocess.run(command, cwd=project.folder, capture_output=True, check=False).returncode


def test_project_has_one_mistake_that_its_correction_mends(project: TourProject) -> None:
    assert [run_tests(project, part) for part in ("cart", "prices", "stock")] == [0, 1, 0]
    before = project.look()
    assert (before.has_mistake, before.as_told) == (True, False)
    project.correct()
    after = project.look(before)
    assert (after.has_mistake, after.as_told, after.digest != before.digest) == (False, True, True)
    assert run_tests(project, "prices") == 0


def test_service_gets_its_port(project: TourProject) -> None:
    assert project.pipeline.read_text().count("40123") == 3
    assert "18090" not in project.pipeline.read_text()


def test_files_that_were_spoilt_or_removed_are_put_right(project: TourProject) -> None:
    pipeline = project.pipeline.read_text()
    spoilt = {PRICES: "nonsense(", BOOKS: "", ".c8s.yaml": pipeline.replace("python3", "python4"), "notes.txt": "mine"}
    for name, text in spoilt.items():
        (project.folder / name).write_text(text)
    (project.folder / "bookshop" / "cart.py").unlink()
    state = project.look()
    assert (state.has_mistake, state.as_told) == (False, False)
    project.correct()
    assert project.look(state).as_told
    assert [run_tests(project, part) for part in ("cart", "prices", "stock")] == [0, 0, 0]
    assert project.pipeline.read_text() == pipeline
    assert (project.folder / "notes.txt").read_text() == "mine"


def test_files_are_read_again_only_after_a_change(project: TourProject) -> None:
    state = project.look()
    assert project.look(state) is state
    (project.folder / "README.md").write_text("mine")
    assert project.look(state) is not state


def test_nothing_of_the_user_is_overwritten(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    project = TourProject(tmp_path, repository / "samples" / "bookshop")
    with pytest.raises(ProjectError, match=r"is not empty; name a new folder"):
        project.create(1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert not project.is_made()


def test_project_is_a_repository_of_its_own_in_that_of_the_user(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working tree that is sent must not be the repository around it."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    config = tmp_path / "gitconfig"
    config.write_text("[commit]\n\tgpgsign = true\n[user]\n\tname = Me\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    project = TourProject(tmp_path / "bookshop", repository / "samples" / "bookshop")
    project.create(40_123)
    project.commit()
    project.commit()
    monkeypatch.delenv("GIT_DIR")
    log = subprocess.run(
        ["git", "log", "--format=%an %s"], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert log.stdout == "c8s Open the bookshop\n"


def test_git_that_fails_is_reported_in_words(project: TourProject, monkeypatch: pytest.MonkeyPatch) -> None:
    git = project.folder.parent / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(git.parent), prepend=":")
    with pytest.raises(ProjectError, match=r"git can't make a repository in .*: no room"):
        project.commit()


def test_changes_of_the_user_are_told_from_those_of_the_tour(project: TourProject) -> None:
    project.commit()
    assert project.own_changes() == ()
    project.correct()
    titles = [project.add_book() for _ in range(4)]
    assert len(set(titles)) == 3
    assert project.own_changes() == ()
    (project.folder / BOOKS).write_text("title,author,price\nMine,Me,1\n")
    (project.folder / "notes.txt").write_text("mine")
    pipeline = project.pipeline.read_text()
    project.pipeline.write_text(pipeline + "# mine\n")
    assert project.own_changes() == (".c8s.yaml", BOOKS, "notes.txt")


def test_project_that_is_gone_is_reported(project: TourProject) -> None:
    import shutil

    shutil.rmtree(project.folder)
    assert not project.look().exists
    with pytest.raises(ProjectError, match=r"data/books.csv can't be changed"):
        project.add_book()
    with pytest.raises(ProjectError, match=r"is gone"):
        project.correct()
