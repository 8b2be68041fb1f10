"""The files of a working tree, as git lists them."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from workbench.submit import worktree
from workbench.submit.archive import pack_archive
from workbench.submit.repository import WorktreeError
from workbench.submit.worktree import (
    Commit,
    SizeLimits,
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
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def git_repository(tmp_path: Path) -> Path:
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


def test_worktree_holds_what_git_would_add(git_repository: Path) -> None:
    root = git_repository
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


def test_changes_are_relative_to_the_merge_base(git_repository: Path) -> None:
    root = git_repository
    git(root, "checkout", "-q", "-b", "topic")
    (root / "committed.txt").write_text("x")
    git(root, "mv", "run.sh", "start.sh")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "second")
    git(root, "checkout", "-q", "main")
    (root / "of-main.txt").write_text("x")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "of another author")
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


def test_incomparable_revision_is_an_error(git_repository: Path, tmp_path: Path) -> None:
    for revision in ("nosuch", "--output=x", ""):
        with pytest.raises(WorktreeError, match="can't list the changes"):
            changed_since(git_repository, revision)
    with pytest.raises(WorktreeError, match=r"since origin/main: there is no such commit here; .* `git fetch`"):
        changed_since(git_repository, "origin/main")
    git(git_repository, "checkout", "-q", "--orphan", "other")
    git(git_repository, "commit", "-q", "-m", "of its own")
    with pytest.raises(WorktreeError, match="no commit in common"):
        changed_since(git_repository, "main")
    with pytest.raises(WorktreeError, match="not a git repository, so"):
        changed_since(tmp_path, "main")


def test_commit_is_dirty_only_with_changes(git_repository: Path) -> None:
    sha = git(git_repository, "rev-parse", "HEAD")
    assert scan(git_repository).commit == Commit(sha, "main", False)
    (git_repository / "new.txt").write_text("new")
    commit = scan(git_repository).commit
    assert commit is not None
    assert commit.label == f"{sha}-dirty"


def test_subfolder_of_a_repository_can_be_scanned(git_repository: Path) -> None:
    part = git_repository / "part"
    part.mkdir()
    (part / "a").write_text("a")
    assert names(part) == ["a"]


def test_submodules_are_included_with_their_changes(git_repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "lib.txt").write_text("lib")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "lib")
    git(git_repository, "submodule", "--quiet", "add", str(other), "lib")
    (git_repository / "lib" / "new.txt").write_text("new")
    found = names(git_repository)
    assert "lib/lib.txt" in found
    assert "lib/new.txt" in found
    assert not any(".git/" in name for name in found)


def test_missing_submodule_is_a_warning(git_repository: Path) -> None:
    sha = git(git_repository, "rev-parse", "HEAD")
    git(git_repository, "update-index", "--add", "--cacheinfo", f"160000,{sha},vendor/lib")
    (git_repository / "vendor" / "lib").mkdir(parents=True)
    assert "vendor/lib: the submodule is not checked out" in scan(git_repository).warnings[0]


def test_links_out_of_the_tree_are_skipped_with_a_warning(git_repository: Path) -> None:
    (git_repository / "inside").symlink_to("kept.txt")
    (git_repository / "absolute").symlink_to("/etc/passwd")
    (git_repository / "above").symlink_to("../elsewhere")
    tree = scan(git_repository)
    assert {entry.name: entry.target for entry in tree.entries if entry.target} == {"inside": "kept.txt"}
    assert [warning.partition(":")[0] for warning in tree.warnings] == ["above", "absolute"]


def test_folder_replaced_by_a_link_is_not_followed(git_repository: Path, tmp_path: Path) -> None:
    (git_repository / "data").mkdir()
    (git_repository / "data" / "file").write_text("mine")
    git(git_repository, "add", ".")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("not to be sent")
    (git_repository / "data" / "file").unlink()
    (git_repository / "data").rmdir()
    (git_repository / "data").symlink_to(secret)
    assert "data/file" not in names(git_repository)


def test_pipes_and_sockets_are_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket"))
        (tmp_path / "file").write_text("x")
        tree = scan(tmp_path)
    assert [entry.name for entry in tree.entries] == ["file"]
    assert len(tree.warnings) == 2


def test_unreadable_file_is_skipped_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0)
    if os.geteuid() == 0:
        # Root may read everything.
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")
    tree = scan(tmp_path)
    assert tree.entries == ()
    assert "locked" in tree.warnings[0]


def test_folder_without_git_skips_nested_git_data(tmp_path: Path) -> None:
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "sub" / ".git" / "config").write_text("x")
    (tmp_path / "sub" / "file").write_text("x")
    (tmp_path / "link").symlink_to("sub")
    tree = scan(tmp_path)
    assert [entry.name for entry in tree.entries] == ["link", "sub/file"]
    assert tree.commit is None


@pytest.mark.parametrize("home", [True, False])
def test_home_and_root_are_rejected(tmp_path: Path, home: bool) -> None:
    root = tmp_path if home else Path("/")
    with pytest.raises(WorktreeError, match="git init"):
        scan(root, home=tmp_path)


def test_too_large_tree_error_names_the_largest_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree, "WITHOUT_GIT", SizeLimits(files=100, bytes=1000))
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "huge").mkdir()
    (tmp_path / "huge" / "file").write_bytes(b"x" * 2000)
    with pytest.raises(WorktreeError, match="The largest parts are: huge"):
        scan(tmp_path)


def test_repository_without_commits_can_be_scanned(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a").write_text("a")
    tree = scan(tmp_path)
    assert tree.commit == Commit(None, "trunk", True)
    assert tree.commit.label is None


def test_git_hook_variables_are_ignored(git_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", "nowhere")
    assert "kept.txt" in names(git_repository)


def test_broken_repository_error_quotes_git(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    with pytest.raises(WorktreeError, match="not a git repository"):
        scan(tmp_path)


def test_missing_git_error_names_the_remedy(git_repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WorktreeError, match="--no-source"):
        scan(git_repository)


def test_pipeline_is_searched_up_to_the_repository_root(git_repository: Path) -> None:
    deep = git_repository / "a" / "b"
    deep.mkdir(parents=True)
    (git_repository.parent / ".c8s.yaml").write_text("")
    assert find_pipeline(deep) is None
    (git_repository / ".c8s.yml").write_text("")
    assert find_pipeline(deep) == git_repository / ".c8s.yml"
    (deep / ".c8s.yaml").write_text("")
    assert find_pipeline(deep) == deep / ".c8s.yaml"


def test_without_repository_only_this_folder_is_searched(tmp_path: Path) -> None:
    (tmp_path / ".c8s.yaml").write_text("")
    (tmp_path / "sub").mkdir()
    assert find_pipeline(tmp_path) == tmp_path / ".c8s.yaml"
    assert find_pipeline(tmp_path / "sub") is None


def test_repository_of_the_file_takes_precedence(git_repository: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    assert tree_root(git_repository / ".c8s.yaml", lonely) == git_repository
    assert tree_root(lonely / "p.yaml", git_repository) == git_repository
    assert tree_root(lonely / "p.yaml", tmp_path) == lonely
    assert tree_root(None, lonely) == lonely


def test_git_status_is_parsed() -> None:
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
def test_link_targets_are_checked(name: str, target: str, stays: bool) -> None:
    assert link_stays_inside(name, target) is stays


def test_changed_files_do_not_break_the_archive(tmp_path: Path) -> None:
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


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux reopens deleted files")
def test_archive_has_no_name_that_could_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    with pack_archive(scan(tmp_path)) as archive:
        assert list(spool.iterdir()) == []
        for _ in range(2):
            with tarfile.open(archive.path) as tar:
                assert tar.getnames() == ["file"]
        assert archive.path.stat().st_size == archive.size


def test_stopped_packing_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    with pytest.raises(InterruptedError), pack_archive(scan(tmp_path), lambda: True):
        pass
    assert list(spool.iterdir()) == []
