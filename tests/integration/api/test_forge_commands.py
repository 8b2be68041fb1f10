"""`c8s connect`, `trigger`, `webhooks` and `approve` against a running controller."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import SECONDS, WORKBENCH, Caller, Sandbox
from tests.integration.api.test_webhooks import FILE, PASSWORD, about, push
from tests.integration.api.test_whole_path import ended
from tests.support.forges.git_server import GitServer, git, git_server
from tests.support.forges.github import APP_ID, app_key_pem, github_server
from tests.support.forges.payloads import github_pull_request
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.xdist_group("controller")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def c8s(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Any]:
    """The command with a context on the sandbox; `given` is its standard input."""
    token, config = tmp_path / "token", tmp_path / "config" / "c8s" / "config.yaml"
    token.write_text(WORKBENCH)
    token.chmod(0o600)
    config.parent.mkdir(parents=True)
    config.write_text(
        f"current-context: here\ncontexts:\n- name: here\n  server: {sandbox.url}\n  tokenFile: {token}\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("C8S_")}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}

    async def command(*arguments: str, given: str = "", folder: Path | None = None) -> Result:
        done = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-P",
                "-c",
                "import sys; from workbench.cli.main import main; sys.exit(main())",
                *arguments,
            ],
            input=given,
            capture_output=True,
            text=True,
            cwd=folder or tmp_path,
            env=environment,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return command


async def test_connect_deliver_list_and_replay(
    api: Caller, c8s: Callable[..., Any], server: GitServer, tmp_path: Path
) -> None:
    repository = server.repository("octo/by-hand")
    commit = repository.commit({".c8s.yaml": FILE.format(name="by-hand"), "a.txt": "1\n"})
    added = await c8s("connect", "add", repository.url, "--provider", "github", "--token", given=PASSWORD + "\n")
    assert added.code == 0, added
    assert "/webhooks/github/default/by-hand" in added.out
    assert PASSWORD not in added.out + added.err
    listed = await c8s("connect", "list", "-o", "json")
    assert [each["name"] for each in json.loads(listed.out) if each["repository"] == repository.url] == ["by-hand"]
    payload = tmp_path / "push.json"
    payload.write_text(json.dumps(push(repository, commit)[1]))
    given = ("--payload", str(payload), "--provider", "github", "--connection", "by-hand")
    delivered = await c8s("trigger", *given)
    assert delivered.code == 0, delivered
    assert (await ended(api, delivered.out.strip()))["status"]["phase"] == "Succeeded"
    payload.write_text(json.dumps(push(repository, commit, message="x [skip ci]")[1]))
    skipped = await c8s("trigger", *given)
    assert (skipped.code, "[skip ci]" in skipped.err) == (1, True)
    deliveries = json.loads((await c8s("webhooks", "list", "--connection", "by-hand", "-o", "json")).out)
    assert [each["outcome"] for each in deliveries] == ["Ignored", "Started"]
    assert "[skip ci]" in (await c8s("webhooks", "list")).out
    replayed = await c8s("webhooks", "replay", deliveries[1]["id"])
    assert replayed.code == 0, replayed
    assert replayed.out.strip() != delivered.out.strip()
    assert (await c8s("webhooks", "replay", deliveries[0]["id"])).code == 1
    assert (await c8s("webhooks", "replay", "nothing")).code == 1
    assert (await c8s("connect", "delete", "by-hand")).code == 0


async def test_a_github_app_clones_and_reports_with_tokens_of_its_installation(
    api: Caller, c8s: Callable[..., Any], tmp_path: Path
) -> None:
    with github_server() as github, git_server(tmp_path / "git", password="ghs_contents_0") as private:
        repository = private.repository("octo/hello")
        text = FILE.format(name="app").replace("cat a.txt", "echo 'src/a.c:3: error: expected int'; exit 1")
        commit = repository.commit({".c8s.yaml": text})
        key = tmp_path / "app.pem"
        key.write_text(app_key_pem())
        given = ("connect", "add", repository.url, "--provider", "github", "--connection", "app")
        app = ("--app-id", APP_ID, "--app-key", str(key), "--api-url", github.url)
        assert (await c8s(*given, *app)).code == 0
        assert (await c8s(*given, *app, "--token", given="x")).code == 2
        assert (await c8s(*given, "--app-id", APP_ID)).code == 2
        assert (await c8s(*given, "--app-id", APP_ID, "--app-key", str(tmp_path / "none"))).code == 2
        payload = tmp_path / "push.json"
        payload.write_text(json.dumps(push(repository, commit)[1]))
        name = (await c8s("trigger", "--payload", str(payload), "--provider", "github", "--connection", "app")).out
        found = await ended(api, name.strip())
        assert found["status"]["message"].startswith("a failed"), found["status"]
        await wait_until_async(lambda: github.history.get("c8s/app", [""])[-1] == "failure", SECONDS, what="the check")
        (check,) = github.checks.values()
        assert [(each["path"], each["start_line"]) for each in check["annotations"]] == [("src/a.c", 3)]
        assert github.problems == []


async def test_a_strangers_run_is_approved_by_command(
    api: Caller, c8s: Callable[..., Any], server: GitServer, tmp_path: Path
) -> None:
    repository = server.repository("octo/stranger")
    base = repository.commit({".c8s.yaml": FILE.format(name="stranger"), "a.txt": "1\n"})
    head = repository.commit({"a.txt": "2\n"}, ref="refs/pull/2/head")
    await c8s("connect", "add", repository.url, "--provider", "github", "--token", given=PASSWORD)
    delivery = about(github_pull_request(head="stranger/hello"), repository, head, before=base)
    payload = tmp_path / "request.json"
    payload.write_text(json.dumps(delivery[1]))
    given = ("--payload", str(payload), "--provider", "github", "--connection", "stranger")
    name = (await c8s("trigger", *given)).out.strip()
    approved = await c8s("approve", name)
    assert approved.code == 0, approved
    assert (await ended(api, name))["status"]["phase"] == "Succeeded"
    assert (await c8s("approve", name)).code == 1, "it has ended"
    assert (await c8s("approve", "nobody")).code == 1


async def test_an_event_of_the_repository_around_runs_or_says_why_not(c8s: Callable[..., Any], tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "-q", "-b", "main")
    (tree / ".c8s.yaml").write_text(FILE.format(name="local") + 'paths: ["src/**"]\n')
    (tree / "a.txt").write_text("1\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "one")
    (tree / "src").mkdir()
    (tree / "src" / "b").write_text("1")
    found = await c8s("trigger", "--branch", "topic", folder=tree)
    assert (found.code, "the branch topic matches none of: main" in found.err) == (1, True), found
    found = await c8s("trigger", "--event", "tag", "--tag", "v1", folder=tree)
    assert (found.code, "the event tag is not among its events" in found.err) == (1, True), found
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "two")
    assert (await c8s("trigger", "--dry-run", folder=tree)).code == 0
    found = await c8s("trigger", folder=tree)
    assert found.code == 0, found
    assert "1 changed file since HEAD~1" in found.err
    (tree / "docs").write_text("1")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "three")
    found = await c8s("trigger", folder=tree)
    assert (found.code, "no changed file matches any of: src/**" in found.err) == (1, True), found


@pytest.mark.parametrize(
    "arguments",
    [
        ("--provider", "github"),
        ("--payload", "none.json", "--provider", "github"),
        ("--payload", "none.json"),
        ("--tag", "v1"),
        ("--event", "tag", "--branch", "x"),
        ("--event", "deploy"),
    ],
)
async def test_wrong_arguments_are_named(c8s: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...]) -> None:
    found = await c8s("trigger", *arguments, folder=tmp_path)
    assert found.code == 2
    assert "Traceback" not in found.err


PAYLOADS = {"empty": "", "list": "[]", "cut": "{", "mark": "\ufeff{}", "number": "9" * 5000, "deep": '{"a":' * 60_000}


@pytest.mark.parametrize("kind", PAYLOADS)
async def test_a_payload_that_is_none_is_named(c8s: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "payload"
    path.write_text(PAYLOADS[kind])
    found = await c8s("trigger", "--payload", str(path), "--provider", "gitea")
    assert (found.code, "is not a JSON object" in found.err) == (2, True), found
