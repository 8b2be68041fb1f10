"""A repository's own configuration makes git execute nothing, and everything else of it is read as git does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from workbench.submit.git import open_git
from workbench.submit.repository import WorktreeError
from workbench.submit.worktree import changed_since, scan


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def make_repository(root: Path, *options: str) -> Path:
    root.mkdir()
    git(root, "init", "-q", "-b", "main", *options)
    (root / "file.txt").write_text("one\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "mine")


def hostile_settings(trap: Path) -> str:
    return f"""
[core]
    fsmonitor = touch {trap}-fsmonitor; false
    hooksPath = {trap.parent}/hooks
    sshCommand = touch {trap}-ssh
    pager = touch {trap}-pager
    askPass = touch {trap}-askpass
[filter "evil"]
    clean = touch {trap}-clean; cat
    smudge = touch {trap}-smudge; cat
    process = touch {trap}-process
    required = true
[diff "evil"]
    textconv = touch {trap}-textconv; cat
    command = touch {trap}-command
[diff]
    external = touch {trap}-external
[alias]
    status = !touch {trap}-alias
[extensions]
    partialClone = origin
    worktreeConfig = true
[remote "origin"]
    url = ext::touch {trap}-ext
    promisor = true
    uploadpack = touch {trap}-uploadpack
"""


def make_hostile(root: Path, config: Path, tmp_path: Path) -> None:
    """Name commands in a configuration file; each would create a file `trapped-…`."""
    hooks = tmp_path / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "fsmonitor-watchman", "query-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/trapped-hook\n")
        (hooks / name).chmod(0o755)
    (root / ".gitattributes").write_text("* filter=evil diff=evil\n")
    # The same size and another content: git has to read the file to see that.
    (root / "file.txt").write_text("two\n")
    with config.open("a") as file:
        file.write(hostile_settings(tmp_path / "trapped"))


def trapped(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.glob("trapped*"))


@pytest.mark.parametrize("included", [False, True])
def test_commands_in_the_configuration_are_not_executed(repository: Path, tmp_path: Path, included: bool) -> None:
    config = repository / ".git" / "config"
    if included:
        (tmp_path / "more").write_text("")
        config.write_text(
            f'{config.read_text()}[include]\n path = {tmp_path}/more\n[includeIf "gitdir:/"]\n path = x\n'
        )
        config = tmp_path / "more"
    make_hostile(repository, config, tmp_path)
    for hook in (repository / ".git" / "hooks", tmp_path / "hooks"):
        (hook / "post-index-change").write_text(f"#!/bin/sh\ntouch {tmp_path}/trapped-hook\n")
        (hook / "post-index-change").chmod(0o755)
    found = scan(repository)
    assert [entry.name for entry in found.entries] == [".gitattributes", "file.txt"]
    assert found.commit is not None
    assert found.commit.dirty
    assert changed_since(repository, "HEAD") == (".gitattributes", "file.txt")
    assert trapped(tmp_path) == []


def test_configuration_of_a_submodule_is_not_executed(repository: Path, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    git(repository, "submodule", "add", "-q", str(inner), "lib")
    git(repository, "commit", "-q", "-m", "lib")
    assert scan(repository).commit == scan(repository).commit
    assert not scan(repository).commit.dirty  # type: ignore[union-attr]
    make_hostile(repository / "lib", repository / ".git" / "modules" / "lib" / "config", tmp_path)
    found = scan(repository)
    assert "lib/file.txt" in [entry.name for entry in found.entries]
    assert found.commit is not None
    assert found.commit.dirty
    assert changed_since(repository, "HEAD") == ("lib",)
    assert trapped(tmp_path) == []


def test_configuration_of_a_linked_worktree_is_not_executed(repository: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(repository, "worktree", "add", "-q", str(linked))
    git(repository, "config", "extensions.worktreeConfig", "true")
    own = repository / ".git" / "worktrees" / "linked"
    (own / "config.worktree").write_text("")
    make_hostile(linked, own / "config.worktree", tmp_path)
    found = scan(linked)
    assert found.commit is not None
    assert (found.commit.branch, found.commit.dirty) == ("linked", True)
    assert trapped(tmp_path) == []


def test_submodule_at_another_commit_is_a_change(repository: Path, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    git(repository, "submodule", "add", "-q", str(inner), "lib")
    git(repository, "commit", "-q", "-m", "lib")
    git(repository / "lib", "commit", "-q", "--allow-empty", "-m", "second")
    commit = scan(repository).commit
    assert commit is not None
    assert commit.dirty
    assert changed_since(repository, "HEAD") == ("lib",)


def test_filters_of_the_user_still_apply(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "gitconfig"
    own.write_text('[filter "upper"]\n clean = tr a-z A-Z\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    (repository / ".gitattributes").write_text("*.txt filter=upper\n")
    git(repository, "add", "--renormalize", ".")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "with a filter")
    (repository / "file.txt").write_text("ONE\n")
    commit = scan(repository).commit
    assert commit is not None
    assert not commit.dirty


def test_line_endings_of_the_repository_apply(repository: Path) -> None:
    git(repository, "config", "core.autocrlf", "true")
    (repository / "file.txt").unlink()
    git(repository, "checkout", "file.txt")
    assert (repository / "file.txt").read_bytes() == b"one\r\n"
    os.utime(repository / "file.txt", (1, 1))
    commit = scan(repository).commit
    assert commit is not None
    assert not commit.dirty


def test_repository_with_sha256_is_read(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "mine", "--object-format=sha256")
    commit = scan(root).commit
    assert commit is not None
    assert len(commit.sha or "") == 64


def test_sparse_checkout_is_not_a_change(repository: Path) -> None:
    for name in ("a", "b"):
        (repository / name).mkdir()
        (repository / name / "file").write_text(name)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "folders")
    git(repository, "sparse-checkout", "set", "--cone", "--sparse-index", "a")
    found = scan(repository)
    assert [entry.name for entry in found.entries] == ["a/file", "file.txt"]
    assert found.commit is not None
    assert not found.commit.dirty


def test_repository_is_not_changed(repository: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*") if path.is_file()}
    (repository / "file.txt").touch()
    scan(repository)
    assert {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", ["", "gitdir: \0", "elsewhere", "gitdir: /nowhere"])
def test_git_file_that_names_no_repository_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)
    with pytest.raises(WorktreeError, match="git repository"), open_git(tmp_path):
        pass


def test_broken_configuration_is_an_error(repository: Path) -> None:
    (repository / ".git" / "config").write_text("[core\n")
    with pytest.raises(WorktreeError, match="bad config"), open_git(repository):
        pass
