"""The clone step hands back the pipeline file and the changed files of a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.git.clone import Git
from controller.agent.git.definition import read_definition
from controller.agent.settings import AgentSettings
from tests.support.forges.git_server import GitServer, Repository, git, git_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as found:
        yield found


@pytest.fixture
def repository(server: GitServer) -> Repository:
    found = server.repository("octo/hello")
    found.commit({".c8s.yaml": "name: ci\n", "a.txt": "1", "docs/b.txt": "1"})
    return found


def agent_settings(tmp_path: Path, **variables: str) -> AgentSettings:
    token = tmp_path / "token"
    token.write_text("t")
    fixed = {"C8S_API_URL": "http://127.0.0.1:1", "C8S_TOKEN_FILE": str(token), "C8S_WORKSPACE": str(tmp_path)}
    return AgentSettings({**fixed, "C8S_PIPELINE_FILE": ".c8s.yaml", **variables})


def read(tmp_path: Path, repository: Repository, commit: str, **variables: str) -> dict[str, object]:
    """What is reported of a clone at a commit."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tree = str(scratch / "tree")
    clone = Git(tree, str(scratch), repository.url, None)
    assert clone.checkout(commit, submodules=False) == commit
    return read_definition(clone.run, tree, commit, agent_settings(tmp_path, **variables))


def test_nothing_is_reported_for_a_run_that_has_its_pipeline(tmp_path: Path, repository: Repository) -> None:
    head = git(repository.tree, "rev-parse", "HEAD")
    assert read(tmp_path, repository, head, C8S_PIPELINE_FILE="") == {}


def test_the_file_is_that_of_the_commit(tmp_path: Path, repository: Repository) -> None:
    first = git(repository.tree, "rev-parse", "HEAD")
    repository.commit({".c8s.yaml": "name: later\n"})
    assert read(tmp_path, repository, first) == {"definition": {"text": "name: ci\n"}}


def test_the_files_of_a_push_are_those_that_differ_from_before(tmp_path: Path, repository: Repository) -> None:
    before = git(repository.tree, "rev-parse", "HEAD")
    repository.commit({"a.txt": "2"})
    after = repository.commit({"c d/é.txt": "1"})
    found = read(tmp_path, repository, after, C8S_GIT_BASE=before, C8S_GIT_BASE_IS_BRANCH="0")
    assert found["changedFiles"] == ["a.txt", "c d/é.txt"]


def test_the_files_of_a_pull_request_are_those_of_its_own_commits(tmp_path: Path, repository: Repository) -> None:
    start = git(repository.tree, "rev-parse", "HEAD")
    for number in range(3):
        base = repository.commit({"a.txt": f"on main {number}"})
    repository.switch("topic", start)
    repository.commit({"x.txt": "1"}, branch="topic")
    head = repository.commit({"docs/b.txt": "2"}, branch="topic")
    found = read(tmp_path, repository, head, C8S_GIT_BASE=base, C8S_GIT_BASE_IS_BRANCH="1")
    assert found["changedFiles"] == ["docs/b.txt", "x.txt"]


def test_files_are_unknown_if_the_base_is_gone(tmp_path: Path, repository: Repository) -> None:
    head = git(repository.tree, "rev-parse", "HEAD")
    found = read(tmp_path, repository, head, C8S_GIT_BASE="1" * 40, C8S_GIT_BASE_IS_BRANCH="0")
    assert "changedFiles" not in found


def test_files_are_unknown_if_they_are_too_many(tmp_path: Path, repository: Repository) -> None:
    before = git(repository.tree, "rev-parse", "HEAD")
    head = repository.commit({f"many/{number}": "" for number in range(3001)})
    assert "changedFiles" not in read(tmp_path, repository, head, C8S_GIT_BASE=before)


def test_a_reference_is_used_where_the_server_does_not_give_the_commit(tmp_path: Path, repository: Repository) -> None:
    git(repository.bare, "config", "uploadpack.allowReachableSHA1InWant", "false")
    head = repository.commit({"x.txt": "1"}, ref="refs/pull/7/head")
    repository.commit({"x.txt": "2"}, ref="refs/pull/7/head")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    clone = Git(str(scratch / "tree"), str(scratch), repository.url, None)
    assert clone.checkout(head, submodules=False, ref="refs/pull/7/head") == head


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ".git/config", "", "a//b", "."])
def test_a_path_outside_of_the_repository_is_refused(tmp_path: Path, repository: Repository, path: str) -> None:
    head = git(repository.tree, "rev-parse", "HEAD")
    found = read(tmp_path, repository, head, C8S_PIPELINE_FILE=path or "/")
    assert "is not a path in the repository" in str(found["definition"])


def test_links_folders_and_other_kinds_are_no_pipeline_file(tmp_path: Path, repository: Repository) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    (repository.tree / "link.yaml").symlink_to(secret)
    (repository.tree / "folder").symlink_to(tmp_path)
    head = repository.commit({"big.yaml": "x" * (512 * 1024 + 1), "latin.yaml": ""})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tree = scratch / "tree"
    clone = Git(str(tree), str(scratch), repository.url, None)
    clone.checkout(head, submodules=False)
    os.mkfifo(tree / "pipe.yaml")
    (tree / "latin.yaml").write_bytes(b"\xe9")
    for path in ("link.yaml", "folder/secret", "docs", "pipe.yaml", "big.yaml", "latin.yaml", "none.yaml", "a.txt/b"):
        found = read_definition(clone.run, str(tree), head, agent_settings(tmp_path, C8S_PIPELINE_FILE=path))
        assert list(found["definition"]) == ["problem"], path
        assert "s3cret" not in str(found)
