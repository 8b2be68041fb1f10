"""The event of a push, a tag or a pull request of a local repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.forges.git_server import git
from workbench.submit.event import local_event
from workbench.submit.repository import WorktreeError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A clone on the branch `topic`, one commit ahead of `origin/main`, with a new file."""
    origin, tree = tmp_path / "origin", tmp_path / "tree"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    (origin / "a").write_text("1")
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "one")
    git(tmp_path, "clone", "-q", str(origin), str(tree))
    git(tree, "checkout", "-q", "-b", "topic")
    (tree / "src").mkdir()
    (tree / "src" / "b").write_text("1")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "two [skip ci]")
    (tree / "new").write_text("1")
    return tree


def test_a_push_is_compared_with_the_branch_of_the_remote(tree: Path) -> None:
    found = local_event(tree, "push", branch="main", tag=None, base=None)
    assert (found.event.branch, found.event.changed) == ("main", ("new", "src/b"))
    assert found.base == "refs/remotes/origin/main"
    assert found.event.message == "two [skip ci]"


def test_a_new_branch_is_compared_with_the_commit_before(tree: Path) -> None:
    found = local_event(tree, "push", branch=None, tag=None, base=None)
    assert (found.event.branch, found.base) == ("topic", "HEAD~1")


def test_a_pull_request_goes_into_the_default_branch(tree: Path) -> None:
    found = local_event(tree, "pull_request", branch=None, tag=None, base=None)
    assert (found.event.branch, found.event.changed) == ("main", ("new", "src/b"))


def test_a_tag_is_that_of_the_commit(tree: Path) -> None:
    with pytest.raises(WorktreeError, match="--tag"):
        local_event(tree, "tag", branch=None, tag=None, base=None)
    git(tree, "tag", "v1")
    assert local_event(tree, "tag", branch=None, tag=None, base=None).event.tag == "v1"
    assert local_event(tree, "tag", branch=None, tag="v2", base=None).event.tag == "v2"


def test_what_is_missing_is_named(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(WorktreeError, match="no revision nowhere"):
        local_event(tree, "push", branch=None, tag=None, base="nowhere")
    git(tree, "checkout", "-q", "--detach")
    with pytest.raises(WorktreeError, match="--branch"):
        local_event(tree, "push", branch=None, tag=None, base=None)
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    with pytest.raises(WorktreeError, match="no commit yet"):
        local_event(empty, "push", branch=None, tag=None, base=None)
