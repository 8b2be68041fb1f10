"""The files that differ between two commits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from workbench.submit.changes import FileChange, changed_between, parse_name_status
from workbench.submit.repository import WorktreeError


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    done = subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@pytest.fixture
def commits(tmp_path: Path) -> tuple[Path, str, str]:
    """A repository with two commits."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "sub").mkdir()
    for name in ("kept", "changed", "gone", "sub/old"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    old = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "changed").write_text("2")
    (tmp_path / "gone").unlink()
    (tmp_path / "sub" / "old").rename(tmp_path / "sub" / "new")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "second")
    return tmp_path, old, git(tmp_path, "rev-parse", "HEAD")


def test_changed_files_have_a_status(commits: tuple[Path, str, str]) -> None:
    root, old, new = commits
    (root / "uncommitted").write_text("1")
    assert changed_between(root, old[:10], new) == (
        FileChange("M", "changed"),
        FileChange("D", "gone"),
        FileChange("A", "sub/new"),
        FileChange("D", "sub/old"),
    )


def test_files_of_the_folder_only(commits: tuple[Path, str, str]) -> None:
    root, old, new = commits
    assert [change.path for change in changed_between(root / "sub", old, new)] == ["new", "old"]


def test_equal_commits_have_no_changes(commits: tuple[Path, str, str]) -> None:
    root, old, _ = commits
    assert changed_between(root, old, old) == ()


@pytest.mark.parametrize("name", ["f" * 40, "main", "--output=x", ""])
def test_unknown_commit_is_an_error(commits: tuple[Path, str, str], name: str) -> None:
    root, old, _ = commits
    with pytest.raises(WorktreeError):
        changed_between(root, name, old)


def test_folder_without_git_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorktreeError, match="not a git repository"):
        changed_between(tmp_path, "0" * 40, "1" * 40)


def test_configured_programs_are_not_run(commits: tuple[Path, str, str]) -> None:
    root, old, new = commits
    git(root, "config", "diff.external", f"touch {root}/ran")
    git(root, "config", "core.fsmonitor", f"touch {root}/ran")
    assert changed_between(root, old, new)
    assert not (root / "ran").exists()


def test_names_may_have_any_character() -> None:
    assert parse_name_status(b"M\0a\nb\0A\0\xff\0") == (FileChange("M", "a\nb"), FileChange("A", "\ufffd"))
