"""What of a folder is sent: as git sees it, whatever lies in it."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from workbench.submit import worktree
from workbench.submit.archive import pack_archive
from workbench.submit.worktree import (
    Commit,
    SizeLimits,
    WorktreeError,
    changed_since,
    find_pipeline,
    link_stays_inside,
    parse_status,
    scan,
    tree_root,
)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def repository_of_mine(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("ignored/\n*.log\n")
    (root / "kept.txt").write_text("kept")
    (root / "gone.txt").write_text("gone")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def names(root: Path) -> list[str]:
    return [entry.name for entry in scan(root).entries]


def test_the_tree_is_what_git_would_take(repository_of_mine: Path) -> None:
    root = repository_of_mine
    (root / "new.txt").write_text("new")
    (root / "kept.txt").write_text("changed")
    (root / "gone.txt").unlink()
    (root / "ignored").mkdir()
    (root / "ignored" / "big").write_text("x")
    (root / "debug.log").write_text("x")
    tree = scan(root)
    assert [entry.name for entry in tree.entries] == [".gitignore", "kept.txt", "new.txt", "run.sh"]
    assert [entry.name for entry in tree.entries if entry.executable] == ["run.sh"]
    assert tree.warnings == ()


def test_what_changed_is_what_differs_from_where_the_branch_left(repository_of_mine: Path) -> None:
    root = repository_of_mine
    git(root, "checkout", "-q", "-b", "topic")
    (root / "committed.txt").write_text("x")
    git(root, "mv", "run.sh", "start.sh")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "second")
    git(root, "checkout", "-q", "main")
    (root / "of-main.txt").write_text("x")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "somebody else's")
    git(root, "checkout", "-q", "topic")
    (root / "sub").mkdir()
    (root / "sub" / "new é.txt").write_text("x")
    (root / "debug.log").write_text("ignored")
    (root / "kept.txt").write_text("changed")
    (root / "gone.txt").unlink()
    changed = ("committed.txt", "gone.txt", "kept.txt", "run.sh", "start.sh", "sub/new é.txt")
    assert changed_since(root, "main") == changed
    assert changed_since(root / "sub", "main") == ("new é.txt",)
    assert changed_since(root, "HEAD") == ("gone.txt", "kept.txt", "sub/new é.txt")


def test_a_revision_that_nothing_can_be_compared_with_is_told(repository_of_mine: Path, tmp_path: Path) -> None:
    for revision in ("nosuch", "--output=x", ""):
        with pytest.raises(WorktreeError, match="can't tell what changed"):
            changed_since(repository_of_mine, revision)
    git(repository_of_mine, "checkout", "-q", "--orphan", "other")
    git(repository_of_mine, "commit", "-q", "-m", "of its own")
    with pytest.raises(WorktreeError, match="no commit in common"):
        changed_since(repository_of_mine, "main")
    with pytest.raises(WorktreeError, match="no git repository"):
        changed_since(tmp_path, "main")


def test_the_commit_is_dirty_only_when_the_tree_differs(repository_of_mine: Path) -> None:
    sha = git(repository_of_mine, "rev-parse", "HEAD")
    assert scan(repository_of_mine).commit == Commit(sha, "main", False)
    (repository_of_mine / "new.txt").write_text("new")
    commit = scan(repository_of_mine).commit
    assert commit is not None
    assert commit.label == f"{sha}-dirty"


def test_a_folder_of_a_repository_can_be_sent_alone(repository_of_mine: Path) -> None:
    part = repository_of_mine / "part"
    part.mkdir()
    (part / "a").write_text("a")
    assert names(part) == ["a"]


def test_submodules_are_included_with_their_changes(repository_of_mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "lib.txt").write_text("lib")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "lib")
    git(repository_of_mine, "submodule", "--quiet", "add", str(other), "lib")
    (repository_of_mine / "lib" / "new.txt").write_text("new")
    found = names(repository_of_mine)
    assert "lib/lib.txt" in found
    assert "lib/new.txt" in found
    assert not any(".git/" in name for name in found)


def test_a_submodule_that_is_not_checked_out_is_said(repository_of_mine: Path) -> None:
    sha = git(repository_of_mine, "rev-parse", "HEAD")
    git(repository_of_mine, "update-index", "--add", "--cacheinfo", f"160000,{sha},vendor/lib")
    (repository_of_mine / "vendor" / "lib").mkdir(parents=True)
    assert "vendor/lib: the submodule is not checked out" in scan(repository_of_mine).warnings[0]


def test_links_that_leave_the_tree_are_left_out_with_a_warning(repository_of_mine: Path) -> None:
    (repository_of_mine / "inside").symlink_to("kept.txt")
    (repository_of_mine / "absolute").symlink_to("/etc/passwd")
    (repository_of_mine / "above").symlink_to("../elsewhere")
    tree = scan(repository_of_mine)
    assert {entry.name: entry.target for entry in tree.entries if entry.target} == {"inside": "kept.txt"}
    assert [warning.partition(":")[0] for warning in tree.warnings] == ["above", "absolute"]


def test_nothing_is_read_through_a_folder_that_became_a_link(repository_of_mine: Path, tmp_path: Path) -> None:
    (repository_of_mine / "data").mkdir()
    (repository_of_mine / "data" / "file").write_text("mine")
    git(repository_of_mine, "add", ".")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("not to be sent")
    (repository_of_mine / "data" / "file").unlink()
    (repository_of_mine / "data").rmdir()
    (repository_of_mine / "data").symlink_to(secret)
    assert "data/file" not in names(repository_of_mine)


def test_pipes_and_sockets_are_passed_over_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket"))
        (tmp_path / "file").write_text("x")
        tree = scan(tmp_path)
    assert [entry.name for entry in tree.entries] == ["file"]
    assert len(tree.warnings) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0)
    tree = scan(tmp_path)
    assert tree.entries == ()
    assert "locked" in tree.warnings[0]


def test_without_git_the_folder_is_sent_but_no_repository_inside(tmp_path: Path) -> None:
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "sub" / ".git" / "config").write_text("x")
    (tmp_path / "sub" / "file").write_text("x")
    (tmp_path / "link").symlink_to("sub")
    tree = scan(tmp_path)
    assert [entry.name for entry in tree.entries] == ["link", "sub/file"]
    assert tree.commit is None


@pytest.mark.parametrize("home", [True, False])
def test_a_home_directory_and_the_root_are_never_sent(tmp_path: Path, home: bool) -> None:
    root = tmp_path if home else Path("/")
    with pytest.raises(WorktreeError, match="git init"):
        scan(root, home=tmp_path)


def test_a_tree_that_is_too_large_names_where_the_most_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree, "WITHOUT_GIT", SizeLimits(files=100, bytes=1000))
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "huge").mkdir()
    (tmp_path / "huge" / "file").write_bytes(b"x" * 2000)
    with pytest.raises(WorktreeError, match="The most is in: huge"):
        scan(tmp_path)


def test_a_repository_without_a_commit_can_be_sent(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a").write_text("a")
    tree = scan(tmp_path)
    assert tree.commit == Commit(None, "trunk", True)
    assert tree.commit.label is None


def test_the_variables_of_a_git_hook_do_not_mislead(
    repository_of_mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", "nowhere")
    assert "kept.txt" in names(repository_of_mine)


def test_a_broken_repository_says_what_git_says(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    with pytest.raises(WorktreeError, match="not a git repository"):
        scan(tmp_path)


def test_without_a_git_program_the_remedy_is_named(repository_of_mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WorktreeError, match="--no-source"):
        scan(repository_of_mine)


def test_a_pipeline_is_found_upward_to_the_root_of_the_repository(repository_of_mine: Path) -> None:
    deep = repository_of_mine / "a" / "b"
    deep.mkdir(parents=True)
    (repository_of_mine.parent / ".c8s.yaml").write_text("")
    assert find_pipeline(deep) is None
    (repository_of_mine / ".c8s.yml").write_text("")
    assert find_pipeline(deep) == repository_of_mine / ".c8s.yml"
    (deep / ".c8s.yaml").write_text("")
    assert find_pipeline(deep) == deep / ".c8s.yaml"


def test_without_a_repository_a_pipeline_is_only_looked_for_here(tmp_path: Path) -> None:
    (tmp_path / ".c8s.yaml").write_text("")
    (tmp_path / "sub").mkdir()
    assert find_pipeline(tmp_path) == tmp_path / ".c8s.yaml"
    assert find_pipeline(tmp_path / "sub") is None


def test_the_repository_of_the_file_wins_over_the_one_we_are_in(repository_of_mine: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    assert tree_root(repository_of_mine / ".c8s.yaml", lonely) == repository_of_mine
    assert tree_root(lonely / "p.yaml", repository_of_mine) == repository_of_mine
    assert tree_root(lonely / "p.yaml", tmp_path) == lonely
    assert tree_root(None, lonely) == lonely


def test_status_is_read_record_by_record() -> None:
    clean = b"# branch.oid abc\0# branch.head (detached)\0"
    assert parse_status(clean) == Commit("abc", None, False)
    assert parse_status(clean + b"? new file\0").dirty


@pytest.mark.parametrize(
    ("name", "target", "stays"),
    [
        ("a", "b", True),
        ("d/a", "../b", True),
        ("d/a", "../../b", False),
        ("a", "..", False),
        ("a", "d/../../b", False),
        ("a", "d/../b", False),
        ("d/e/a", "../../b", True),
        ("a", "/b", False),
        ("d/a", "..", True),
        ("a", "..b", True),
    ],
)
def test_a_link_is_judged_by_where_its_names_lead(name: str, target: str, stays: bool) -> None:
    assert link_stays_inside(name, target) is stays


def test_a_file_that_vanishes_or_changes_kind_does_not_break_the_archive(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    tree = scan(tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "b").unlink()
    os.mkfifo(tmp_path / "b")
    (tmp_path / "c").write_text("longer than before")
    with pack_archive(tree) as archive, tarfile.open(archive.path) as tar:
        assert tar.getnames() == ["c"]
        assert tar.getmember("c").size == 18
        assert archive.files == 1
        assert "b" in archive.warnings[0]
    assert not archive.path.exists()


def test_packing_can_be_stopped_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    with pytest.raises(InterruptedError), pack_archive(scan(tmp_path), lambda: True):
        pass
    assert list(spool.iterdir()) == []
