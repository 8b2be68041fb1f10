"""Cloning real repositories by branch, tag and commit, including hostile ones."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent.errors import AgentError, UsageError
from controller.agent.git import clone as module
from controller.agent.git.clone import Git, clone
from controller.agent.settings import AgentSettings


def git(folder: Path, *words: str) -> str:
    settings = ("user.name=a", "user.email=a@b.c", "protocol.file.allow=always", "commit.gpgsign=false")
    own = [word for setting in settings for word in ("-c", setting)]
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "one.txt").write_text("1\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "tag", "v1")
    (folder / "one.txt").write_text("2\n")
    git(folder, "commit", "-q", "-am", "two")
    return folder


class RecordingAgentClient:
    """Records what the agent sends."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.committed: list[dict[str, Any]] = []

    def source_link(self, snapshot: dict[str, Any]) -> dict[str, Any] | None:
        return None if snapshot["digest"] in self.stored else {"url": snapshot["digest"]}

    def put(self, link: dict[str, Any], body: Callable[[], Iterator[bytes]], size: int) -> None:
        self.stored[link["url"]] = b"".join(body())
        assert len(self.stored[link["url"]]) == size

    def commit_source(self, snapshot: dict[str, Any]) -> None:
        self.committed.append(snapshot)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> RecordingAgentClient:
    found = RecordingAgentClient()
    monkeypatch.setattr(module, "AgentClient", lambda settings: found)
    return found


def settings(tmp_path: Path, url: str, revision: str = "HEAD", **more: str) -> AgentSettings:
    workspace, token = tmp_path / "workspace", tmp_path / "token"
    workspace.mkdir(exist_ok=True)
    token.write_text("t")
    given = {
        "C8S_API_URL": "http://127.0.0.1:1",
        "C8S_TOKEN_FILE": str(token),
        "C8S_WORKSPACE": str(workspace),
        "C8S_STEP_SLUG": "source",
        "C8S_ATTEMPT": "1",
        "C8S_GIT_URL": url,
        "C8S_GIT_REVISION": revision,
    }
    return AgentSettings(given | more)


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return tar.getnames()


@pytest.mark.parametrize("revision", ["HEAD", "main", "v1", "commit"])
def test_revision_is_a_branch_a_tag_or_a_commit(
    tmp_path: Path, repository: Path, client: RecordingAgentClient, revision: str
) -> None:
    named = git(repository, "rev-parse", "v1") if revision == "commit" else revision
    clone(settings(tmp_path, f"file://{repository}", named))
    (snapshot,) = client.committed
    assert snapshot["commit"] == git(repository, "rev-parse", f"{named}^{{commit}}")
    assert names(client.stored[snapshot["digest"]]) == ["one.txt", "run.sh"]
    assert list((tmp_path / "workspace").iterdir()) == [], "no temporary files remain"


def test_snapshot_of_a_commit_is_reproducible_and_sent_once(
    tmp_path: Path, repository: Path, client: RecordingAgentClient
) -> None:
    clone(settings(tmp_path, f"file://{repository}"))
    before = os.umask(0o077)
    try:
        clone(settings(tmp_path, f"file://{repository}"))
    finally:
        os.umask(before)
    assert client.committed[0] == client.committed[1]
    assert len(client.stored) == 1


def test_submodules_are_cloned_on_request_over_the_same_protocol(
    tmp_path: Path, repository: Path, client: RecordingAgentClient
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    (inner / "deep.txt").write_text("deep\n")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "inner")
    git(repository, "submodule", "add", "-q", f"file://{inner}", "lib")
    git(repository, "commit", "-q", "-m", "with lib")
    clone(settings(tmp_path, f"file://{repository}", C8S_GIT_SUBMODULES="1"))
    assert "lib/deep.txt" in names(client.stored[client.committed[-1]["digest"]])
    clone(settings(tmp_path, f"file://{repository}"))
    assert "lib/deep.txt" not in names(client.stored[client.committed[-1]["digest"]])
    foreign = Git(str(tmp_path / "tree"), str(tmp_path), "https://example.org/x.git", None)
    (tmp_path / "tree").mkdir()
    foreign.run("init", "-q")
    refused = foreign.run("fetch", f"file://{inner}", check=False)
    assert "not allowed" in refused.stderr


def test_snapshot_has_the_history_on_request(tmp_path: Path, repository: Path, client: RecordingAgentClient) -> None:
    clone(settings(tmp_path, f"file://{repository}", "main", C8S_GIT_HISTORY="1"))
    target = tmp_path / "extracted"
    with tarfile.open(fileobj=io.BytesIO(client.stored[client.committed[-1]["digest"]])) as tar:
        tar.extractall(target, filter="data")
    assert git(target, "log", "--format=%s") == "two\none"
    assert git(target, "describe", "--tags") == "v1-1-g" + git(repository, "rev-parse", "--short", "main")
    assert git(target, "status", "--porcelain") == ""
    assert not (target / ".git" / "hooks").exists()


def test_links_that_leave_the_tree_are_skipped_and_reported(
    tmp_path: Path, repository: Path, client: RecordingAgentClient, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "out").symlink_to("/etc/passwd")
    (repository / "in").symlink_to("one.txt")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "links")
    clone(settings(tmp_path, f"file://{repository}"))
    assert names(client.stored[client.committed[-1]["digest"]]) == ["in", "one.txt", "run.sh"]
    assert "skipped out" in capsys.readouterr().out


def test_hooks_and_filters_of_the_repository_do_not_run(
    tmp_path: Path, repository: Path, client: RecordingAgentClient
) -> None:
    trap = tmp_path / "trapped"
    (repository / ".gitattributes").write_text("* filter=evil\n")
    (repository / ".gitconfig").write_text(f'[filter "evil"]\n smudge = touch {trap}\n')
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "evil")
    (repository / ".git" / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {trap}\n")
    clone(settings(tmp_path, f"file://{repository}"))
    assert not trap.exists()


@pytest.mark.parametrize(
    ("url", "revision", "why"),
    [
        ("ext::sh -c touch% /tmp/x", "main", "can't be cloned"),
        ("--upload-pack=touch", "main", "can't be cloned"),
        ("https://example.org/x", "--output=x", "can't be cloned"),
        ("repo", "nope", "no branch, tag or commit nope"),
        ("missing", "main", "can't be read"),
    ],
)
def test_failed_clone_is_reported_with_its_reason(
    tmp_path: Path, repository: Path, client: RecordingAgentClient, url: str, revision: str, why: str
) -> None:
    where = {"repo": f"file://{repository}", "missing": f"file://{tmp_path}/missing"}.get(url, url)
    with pytest.raises(AgentError, match=why):
        clone(settings(tmp_path, where, revision))
    assert client.committed == []


def test_credentials_reach_git_as_files_and_are_not_printed(
    tmp_path: Path, client: RecordingAgentClient, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "username").write_text("me")
    (secret / "password").write_text("hunter2")
    with pytest.raises(AgentError) as error:
        clone(settings(tmp_path, "http://someone:word@127.0.0.1:1/x.git", C8S_GIT_CREDENTIALS=str(secret)))
    output = str(error.value) + capsys.readouterr().out
    assert "hunter2" not in output
    assert "word" not in output
    found = Git(str(tmp_path / "t"), str(tmp_path), "https://example.org/x", str(secret))
    assert "hunter2" not in " ".join([*found._options, *found._environment.values()])


def test_ssh_key_is_private_and_an_unknown_secret_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    with pytest.raises(UsageError, match="neither"):
        Git(str(tmp_path / "t"), str(tmp_path), "ssh://git@example.org/x", str(secret))
    (secret / "ssh-privatekey").write_text("KEY")
    (secret / "known_hosts").write_text("example.org ssh-ed25519 AAAA")
    found = Git(str(tmp_path / "t"), str(tmp_path), "ssh://git@example.org/x", str(secret))
    assert "StrictHostKeyChecking=yes" in Path(found._environment["GIT_SSH"]).read_text()
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Path:
    """Put a fake ssh on PATH; the file to which it writes its arguments."""
    folder, arguments_file = tmp_path / "bin", tmp_path / "ssh-arguments"
    folder.mkdir()
    (folder / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {arguments_file}\n{does}\n')
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return arguments_file


@pytest.fixture
def key(tmp_path: Path) -> Path:
    folder = tmp_path / "deploy-key"
    folder.mkdir()
    (folder / "ssh-privatekey").write_text("KEY")
    (folder / "known_hosts").write_text("example.org ssh-ed25519 AAAA")
    return folder


@pytest.mark.parametrize("host", ["ssh://git@example.org:2222", "git@example.org:"])
def test_ssh_clone_uses_the_key_of_the_secret(
    tmp_path: Path,
    repository: Path,
    client: RecordingAgentClient,
    key: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    # What ssh would be told to run there is run here: it is its last argument.
    arguments_file = fake_ssh(tmp_path, monkeypatch, 'for last; do :; done; exec sh -c "$last"')
    clone(settings(tmp_path, f"{host}{repository}", "v1", C8S_GIT_CREDENTIALS=str(key)))
    assert [each["commit"] for each in client.committed] == [git(repository, "rev-parse", "v1")]
    arguments = arguments_file.read_text().splitlines()
    assert "git@example.org" in arguments
    assert Path(arguments[arguments.index("-i") + 1]).name == "key"
    assert f"UserKnownHostsFile={key / 'known_hosts'}" in [word.replace('"', "") for word in arguments]
    assert ("2222" in arguments) == ("2222" in host)


def test_reason_of_a_refused_ssh_login_is_reported(
    tmp_path: Path, client: RecordingAgentClient, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh(tmp_path, monkeypatch, 'echo "git@example.org: Permission denied (publickey)." >&2; exit 255')
    with pytest.raises(AgentError, match=r"can't be read: git@example.org: Permission denied \(publickey\)\."):
        clone(settings(tmp_path, "ssh://git@example.org/x", C8S_GIT_CREDENTIALS=str(key)))
    assert client.committed == []
