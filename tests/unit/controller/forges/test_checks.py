"""Check runs of a GitHub App, over HTTP to a GitHub that checks every request by its published description."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest

from controller import labels
from controller.forges.client import ForgeClient
from controller.forges.clone_tokens import AppCloneTokens
from controller.forges.github_app import CHECKS, AppError, AppKey, InstallationTokens, app_key_of
from controller.forges.reported import Reported
from controller.forges.requests import repository_of
from controller.kube import REPOSITORY_CONNECTIONS, SECRETS
from controller.operator.interfaces import CloneTokenError
from tests.support.forges.github import APP_ID, INSTALLATION, GitHubServer, app_key_pem, github_server
from tests.support.waiting import wait_until_async
from tests.unit.controller.forges.test_reporter import COMMIT, Client, FakeRuns, reporting

Json = dict[str, Any]
NAME = "c8s/hello"


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with github_server() as found:
        yield found
    assert found.problems == []


def connect(runs: FakeRuns, github: GitHubServer, **more: str) -> None:
    spec = {
        "repository": f"{github.url}/octo/hello.git",
        "provider": "github",
        "apiUrl": github.url,
        "authSecretRef": {"name": "auth"},
    }
    runs.objects[REPOSITORY_CONNECTIONS, "hello"] = {"metadata": {"uid": "uid"}, "spec": spec}
    values = {"app-id": APP_ID, "private-key": app_key_pem(), **more}
    metadata = {
        "name": "auth",
        "labels": {labels.FORGE_SECRET: "true"},
        "annotations": {labels.HOSTS: f"127.0.0.1:{github.port}"},
    }
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items() if value}
    runs.objects[SECRETS, "auth"] = {"metadata": metadata, "data": data}


async def has_states(github: GitHubServer, *states: str, name: str = NAME) -> None:
    await wait_until_async(
        lambda: github.history.get(name) == list(states), 60, what=lambda: f"{states}: {github.history}"
    )


async def is_recorded(runs: FakeRuns, word: str) -> None:
    def found() -> bool:
        return Reported.of(runs.runs["team", "a"]).said.get(NAME, "").startswith(word)

    await wait_until_async(found, 60, what=f"{word} is recorded")


FAILED: Json = {
    "message": "step a failed: exit code 1",
    "startTime": "2026-11-29T10:00:00.000000Z",
    "completionTime": "2026-11-29T10:00:07.000000Z",
    "steps": [
        {
            "name": "a",
            "slug": "a",
            "phase": "Failed",
            "message": "exit code 1 @octo ```[x](https://evil.example.org)",
            "firstFailure": {"line": 3, "text": "expected int", "file": "./src/a.py", "fileLine": 12},
        },
        {"name": "b", "slug": "b", "phase": "Skipped"},
    ],
}


@pytest.mark.parametrize("installation", ["", str(INSTALLATION)])
async def test_a_run_is_one_check_run_with_annotations_where_it_failed(
    runs: FakeRuns, github: GitHubServer, installation: str
) -> None:
    connect(runs, github, **{"installation-id": installation})
    async with reporting(runs):
        runs.publish("Pending")
        await has_states(github, "queued")
        runs.publish("Running", summary={"progress": "0/2"})
        await has_states(github, "queued", "in_progress")
        runs.publish("Failed", **FAILED)
        await has_states(github, "queued", "in_progress", "failure")
        await is_recorded(runs, "failure")
    (check,) = github.checks.values()
    assert (check["head_sha"], check["external_id"], check["details_url"]) == (COMMIT, "uid-a", "https://ci/team/a")
    (annotation,) = check["annotations"]
    assert (annotation["path"], annotation["start_line"], annotation["annotation_level"]) == ("src/a.py", 12, "failure")
    assert (annotation["title"], annotation["message"]) == ("a", "expected int")
    assert check["output"]["title"] == "step a failed: exit code 1"
    summary = check["output"]["summary"]
    assert summary.startswith("```text\n")
    assert summary.endswith("\n```")
    assert "`" not in summary[8:-4], "what strangers wrote is no Markdown"
    assert (check["started_at"], check["completed_at"]) == (FAILED["startTime"], FAILED["completionTime"])
    # One token for all: it is cached.
    assert github.calls.count("apps/create-installation-access-token") == 1
    assert [permissions for _, permissions in github.tokens.values()] == [{"checks": "write"}]


async def test_each_step_is_a_check_run_if_that_is_asked_for(runs: FakeRuns, github: GitHubServer) -> None:
    connect(runs, github)
    runs.objects[REPOSITORY_CONNECTIONS, "hello"]["spec"]["statuses"] = "step"
    async with reporting(runs):
        runs.publish("Failed", **FAILED)
        await has_states(github, "success", name=f"{NAME}/b")
    assert github.history == {NAME: ["failure"], f"{NAME}/a": ["failure"], f"{NAME}/b": ["success"]}


async def test_a_token_is_renewed_before_it_expires_and_when_it_is_refused(
    runs: FakeRuns, github: GitHubServer
) -> None:
    connect(runs, github)
    github.token_seconds = 300
    async with reporting(runs):
        runs.publish("Pending")
        await has_states(github, "queued")
        await is_recorded(runs, "pending")
        github.token_seconds = 3600
        runs.publish("Running")
        await has_states(github, "queued", "in_progress")
        await is_recorded(runs, "running")
        assert len(github.tokens) == 2, "the first was about to expire"
        # All tokens are withdrawn, as when the App is installed again.
        github.tokens = {name: (0.0, permissions) for name, (_, permissions) in github.tokens.items()}
        runs.publish("Succeeded")
        await has_states(github, "queued", "in_progress", "success")
    assert len(github.checks) == 1


@pytest.mark.parametrize("lost", ["checks/create", "checks/update"])
async def test_a_process_that_dies_before_it_writes_down_what_it_said_makes_no_second_check_run(
    runs: FakeRuns, github: GitHubServer, lost: str
) -> None:
    connect(runs, github)
    phase: str = "Pending" if lost == "checks/create" else "Failed"
    status: Json = {} if lost == "checks/create" else FAILED
    if lost == "checks/update":
        async with reporting(runs):
            runs.publish("Pending")
            await has_states(github, "queued")
            await is_recorded(runs, "pending")
    # The forge has done it, and nothing is written down.
    runs.lagging = True
    async with reporting(runs):
        runs.publish(phase, **status)
        await wait_until_async(lambda: github.calls[-1:] == [lost], 60, what=lambda: str(github.calls))
    runs.lagging = False
    async with reporting(runs):
        runs.publish("Failed", **FAILED)
        await is_recorded(runs, "failure")
    (check,) = github.checks.values()
    assert github.history[NAME][-1] == "failure"
    assert len(check["annotations"]) == 1, "GitHub adds annotations to those that are there"


async def test_a_check_run_that_somebody_deleted_is_created_again(runs: FakeRuns, github: GitHubServer) -> None:
    connect(runs, github)
    async with reporting(runs):
        runs.publish("Pending")
        await has_states(github, "queued")
        await is_recorded(runs, "pending")
        github.checks.clear()
        runs.publish("Succeeded")
        await has_states(github, "queued", "success")


async def test_an_app_that_is_not_installed_is_named_and_not_asked_for_ever(
    runs: FakeRuns, github: GitHubServer
) -> None:
    connect(runs, github)
    github.is_installed = False
    async with reporting(runs) as reporter:
        runs.publish("Pending")
        await wait_until_async(lambda: reporter.counts["refused"] == 1, 60, what="the refusal")
        await wait_until_async(lambda: Reported.of(runs.runs["team", "a"]).problem, 60, what="the problem")
    assert "no token for the GitHub App" in Reported.of(runs.runs["team", "a"]).problem
    assert github.checks == {}


async def test_a_limit_of_rate_at_the_token_is_waited_for(runs: FakeRuns, github: GitHubServer) -> None:
    connect(runs, github)
    github.answers = [(429, {"Retry-After": "1"}), (503, {})]
    async with reporting(runs):
        runs.publish("Succeeded")
        await has_states(github, "success")


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"])
async def test_a_key_that_is_none_is_refused_without_being_shown(github: GitHubServer, key: str) -> None:
    repository = repository_of("github", f"{github.url}/octo/hello", github.url)
    async with ForgeClient() as forge:
        with pytest.raises(AppError, match="is not an RSA key in PEM") as error:
            await InstallationTokens(forge).get(repository, AppKey(APP_ID, key), CHECKS)
    assert not error.value.sent.retry
    assert error.value.__cause__ is None
    assert github.calls == []


@pytest.mark.parametrize(
    ("data", "is_app"),
    [
        ({"app-id": "1", "private-key": "x"}, True),
        ({"app-id": "1"}, False),
        ({"private-key": "x"}, False),
        ({"app-id": "1", "private-key": "x" * 70_000}, False),
        ({"token": "x"}, False),
        ({}, False),
    ],
)
def test_a_secret_with_an_app_has_its_id_and_key(data: dict[str, str], is_app: bool) -> None:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    found = app_key_of(encoded)
    assert (found is not None) is is_app
    assert app_key_of({"app-id": "%", "private-key": "/w=="}) is None


def run_of(github: GitHubServer) -> Json:
    git = {"url": f"{github.url}/octo/hello.git", "secretRef": "auth"}
    spec = {"trigger": {"connection": "hello"}, "source": {"git": git}}
    return {"metadata": {"namespace": "team", "name": "a"}, "spec": spec}


async def test_a_clone_gets_a_token_that_may_read_this_repository_only(runs: FakeRuns, github: GitHubServer) -> None:
    connect(runs, github)
    client: Any = Client(runs)
    token = await AppCloneTokens(client).token(run_of(github), runs.objects[SECRETS, "auth"])
    assert token in github.tokens
    expires, permissions = github.tokens[token]
    assert permissions == {"contents": "read"}
    assert expires > time.time()
    github.is_installed = False
    with pytest.raises(CloneTokenError) as missing:
        await AppCloneTokens(client).token(run_of(github), runs.objects[SECRETS, "auth"])
    assert missing.value.is_final
    github.answers = [(503, {})]
    with pytest.raises(CloneTokenError) as away:
        await AppCloneTokens(client).token(run_of(github), runs.objects[SECRETS, "auth"])
    assert not away.value.is_final
    plain = {"metadata": {"name": "auth"}, "data": {"password": "eA=="}}
    assert await AppCloneTokens(client).token(run_of(github), plain) is None
    runs.objects[SECRETS, "auth"]["metadata"]["annotations"] = {labels.HOSTS: "github.com"}
    with pytest.raises(CloneTokenError, match=r"github\.com only"):
        await AppCloneTokens(client).token(run_of(github), runs.objects[SECRETS, "auth"])
