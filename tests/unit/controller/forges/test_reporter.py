"""Reports over HTTP to a forge that checks them: what is sent, what is repeated, and what is not."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller import labels
from controller.forges.reported import Reported
from controller.forges.reporter import StatusReporter
from controller.kube import REPOSITORY_CONNECTIONS, SECRETS, NotFoundError
from tests.support.forges.server import TOKEN, ForgeServer, forge_server
from tests.support.waiting import wait_until_async

Json = dict[str, Any]

COMMIT = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
PATHS = {
    "github": "",
    "gitea": "/api/v1",
    "gitlab": "/api/v4",
    "bitbucket": "/2.0",
    "bitbucket-server": "/rest/api/latest",
}


class FakeRuns:
    """An informer's cache of runs, and the API server behind it."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], Json] = {}
        self.objects: dict[tuple[Any, str], Json] = {}
        self.handlers: list[Any] = []
        self.lagging = False

    def on_change(self, handler: Any) -> None:
        self.handlers.append(handler)

    async def wait_for_sync(self) -> None:
        return None

    def list(self) -> list[Json]:
        return list(self.runs.values())

    def get(self, namespace: str, name: str) -> Json | None:
        return self.runs.get((namespace, name))

    def publish(self, phase: str, name: str = "a", **status: Any) -> None:
        """The run has this status now."""
        old = self.runs.get(("team", name))
        metadata = {"namespace": "team", "name": name, "uid": f"uid-{name}", "annotations": {}}
        spec = {"trigger": {"connection": "hello", "connectionUid": "uid"}, "commit": COMMIT}
        new = copy.deepcopy(old) if old else {"metadata": metadata, "spec": spec}
        new["status"] = {"phase": phase, "createdBy": "c8s-webhook", "message": phase.lower(), **status}
        self.runs["team", name] = new
        for handler in self.handlers:
            handler("MODIFIED" if old else "ADDED", old, new)

    # -- the client

    async def patch(self, resource: Any, name: str, patch: Json, *, namespace: str) -> None:
        run = copy.deepcopy(self.runs[namespace, name])
        run["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        if not self.lagging:
            self.runs[namespace, name] = run

    async def get_object(self, resource: Any, name: str, namespace: str) -> Json:
        try:
            return self.objects[resource, name]
        except KeyError:
            raise NotFoundError("none", status=404) from None


class Client:
    def __init__(self, runs: FakeRuns) -> None:
        self.get = runs.get_object
        self.patch = runs.patch


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def forge() -> Iterator[ForgeServer]:
    with forge_server("github") as found:
        yield found


def connect(runs: FakeRuns, forge: ForgeServer, **spec: Any) -> None:
    spec = {
        "repository": f"{forge.url}/octo/hello.git"
        if forge.provider != "bitbucket-server"
        else f"{forge.url}/scm/octo/hello.git",
        "provider": forge.provider,
        "apiUrl": forge.url + PATHS[forge.provider],
        "authSecretRef": {"name": "auth"},
        **spec,
    }
    runs.objects[REPOSITORY_CONNECTIONS, "hello"] = {"metadata": {"uid": "uid"}, "spec": spec}
    data = {"password": base64.b64encode(TOKEN.encode()).decode()}
    metadata = {"labels": {labels.FORGE_SECRET: "true"}, "annotations": {labels.HOSTS: f"127.0.0.1:{forge.port}"}}
    runs.objects[SECRETS, "auth"] = {"metadata": metadata, "data": data}


@asynccontextmanager
async def reporting(runs: FakeRuns, clock: Any = None) -> AsyncIterator[StatusReporter]:
    client: Any = Client(runs)
    informer: Any = runs
    more = {"clock": clock} if clock is not None else {}
    reporter = StatusReporter(client, informer, lambda namespace, run: f"https://ci/{namespace}/{run}", **more)
    task = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def has_states(forge: ForgeServer, *states: str, context: str = "c8s/hello") -> None:
    def found() -> bool:
        return forge.statuses.get((COMMIT, context)) == list(states)

    await wait_until_async(found, 60, what=lambda: f"{states}: {forge.statuses}, {forge.problems}")


STATES = {
    "github": ("pending", "pending", "success"),
    "gitea": ("pending", "pending", "success"),
    "gitlab": ("pending", "running", "success"),
    "bitbucket": ("INPROGRESS", "INPROGRESS", "SUCCESSFUL"),
    "bitbucket-server": ("INPROGRESS", "INPROGRESS", "SUCCESSFUL"),
}


@pytest.mark.parametrize("provider", STATES)
async def test_every_forge_takes_what_it_is_told(provider: str, runs: FakeRuns) -> None:
    with forge_server(provider) as forge:
        connect(runs, forge)
        async with reporting(runs):
            for index, phase in enumerate(("Pending", "Running", "Succeeded")):
                runs.publish(phase)
                await has_states(forge, *STATES[provider][: index + 1])
        assert forge.problems == []


async def test_what_was_said_is_not_said_again_by_the_next_leader(runs: FakeRuns, forge: ForgeServer) -> None:
    connect(runs, forge)
    runs.publish("Pending")
    async with reporting(runs):
        await has_states(forge, "pending")
        await wait_until_async(lambda: Reported.of(runs.runs["team", "a"]).said, 60)
    async with reporting(runs):
        runs.publish("Failed")
        await has_states(forge, "pending", "failure")
    assert forge.requests == 2


async def test_a_stale_cache_does_not_make_it_say_anything_twice(runs: FakeRuns, forge: ForgeServer) -> None:
    connect(runs, forge)
    runs.lagging = True
    async with reporting(runs):
        runs.publish("Pending")
        await has_states(forge, "pending")
        runs.publish("Pending")
        runs.publish("Succeeded")
        await has_states(forge, "pending", "success")
    assert forge.requests == 2


async def test_a_forge_that_fails_is_asked_again_and_gets_the_last_state_only(
    runs: FakeRuns, forge: ForgeServer
) -> None:
    connect(runs, forge)
    forge.answers = [(502, {}), (503, {})]
    async with reporting(runs):
        runs.publish("Pending")
        await wait_until_async(lambda: forge.requests >= 1, 60)
        runs.publish("Running")
        runs.publish("Failed")
        await wait_until_async(lambda: forge.statuses.get((COMMIT, "c8s/hello"), [""])[-1] == "failure", 60)
    assert forge.statuses[COMMIT, "c8s/hello"] == ["failure"]


async def test_retry_after_holds_back_all_requests_to_the_host(runs: FakeRuns, forge: ForgeServer) -> None:
    connect(runs, forge)
    now = [1000.0]
    forge.answers = [(429, {"Retry-After": "1"})]
    async with reporting(runs, lambda: now[0]) as reporter:
        runs.publish("Pending")
        await wait_until_async(lambda: forge.requests == 1 and reporter._blocked, 60)
        runs.publish("Pending", "b")
        # The second run is not sent before: what it would need of the forge is the same host.
        await wait_until_async(lambda: len(reporter._queue) == 0, 60)
        assert forge.requests == 1
        now[0] += 1.5
        await has_states(forge, "pending", "pending")


async def test_a_used_up_limit_of_github_is_waited_for() -> None:
    from controller.forges.client import ForgeClient
    from controller.forges.report import Report, State
    from controller.forges.requests import repository_of, status_request

    with forge_server("github") as forge:
        forge.answers = [(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1060"})]
        repository = repository_of("github", f"{forge.url}/octo/hello", forge.url)
        report = Report(COMMIT, "c", State.SUCCESS, "", "https://ci")
        async with ForgeClient(lambda: 1000.0) as client:
            sent = await client.send(status_request(repository, report, TOKEN))
            assert (sent.retry, sent.wait) == (True, 60.0)
            refused = await client.send(status_request(repository, report, "wrong"))
            assert (refused.retry, "400" in refused.problem) == (False, True)


async def test_a_refusal_is_remembered_and_not_repeated(runs: FakeRuns, forge: ForgeServer) -> None:
    connect(runs, forge)
    forge.answers = [(404, {})]
    async with reporting(runs):
        runs.publish("Pending")
        await wait_until_async(lambda: Reported.of(runs.runs["team", "a"]).said, 60)
        runs.publish("Pending")
        runs.publish("Succeeded")
        await has_states(forge, "success")
    assert forge.requests == 2


async def test_a_forge_that_is_away_does_not_delay_others(runs: FakeRuns, forge: ForgeServer) -> None:
    connect(runs, forge)
    away = copy.deepcopy(runs.objects[REPOSITORY_CONNECTIONS, "hello"])
    away["spec"]["apiUrl"] = "http://127.0.0.1:9"
    runs.objects[REPOSITORY_CONNECTIONS, "away"] = away
    async with reporting(runs):
        for number in range(20):
            name = f"away-{number}"
            runs.publish("Pending", name)
            runs.runs["team", name]["spec"]["trigger"]["connection"] = "away"
        runs.publish("Succeeded")
        await has_states(forge, "success")


async def test_only_runs_that_were_proven_to_be_of_the_connection_are_reported(
    runs: FakeRuns, forge: ForgeServer
) -> None:
    connect(runs, forge)
    async with reporting(runs):
        runs.publish("Pending", "forged", createdBy="")
        runs.publish("Succeeded", "real")
        await has_states(forge, "success")
    assert forge.requests == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda runs: runs.objects.pop((SECRETS, "auth")),
        lambda runs: runs.objects[SECRETS, "auth"]["metadata"].update(labels={}),
        lambda runs: runs.objects[SECRETS, "auth"].update(data={"password": base64.b64encode(b"a\nb").decode()}),
        lambda runs: runs.objects.pop((REPOSITORY_CONNECTIONS, "hello")),
        lambda runs: runs.objects[REPOSITORY_CONNECTIONS, "hello"]["metadata"].update(uid="another"),
        lambda runs: runs.objects[REPOSITORY_CONNECTIONS, "hello"]["spec"].update(statuses="off"),
    ],
)
async def test_nothing_is_sent_without_a_usable_token_and_connection(
    runs: FakeRuns, forge: ForgeServer, change: Any
) -> None:
    connect(runs, forge)
    change(runs)
    runs.publish("Succeeded")
    async with reporting(runs) as reporter:
        await wait_until_async(lambda: len(reporter._queue) == 0 and reporter._targets.known, 60)
    assert forge.requests == 0


def test_a_damaged_annotation_counts_as_nothing_said() -> None:
    for text in ("{", "[]", "null", '{"said": 5}', '{"said": []}', ""):
        assert Reported.of({"metadata": {"annotations": {labels.REPORTED: text}}}) == Reported()
    said = json.dumps({"said": {"c8s/x": "pending 1"}})
    assert Reported.of({"metadata": {"annotations": {labels.REPORTED: said}}}).said == {"c8s/x": "pending 1"}


async def test_the_token_goes_to_no_host_that_its_secret_does_not_name(runs: FakeRuns, forge: ForgeServer) -> None:
    connect(runs, forge)
    runs.objects[SECRETS, "auth"]["metadata"]["annotations"] = {labels.HOSTS: "forge.example.org"}
    async with reporting(runs):
        runs.publish("Succeeded")

        def problem() -> bool:
            return "forge.example.org only" in str(runs.runs["team", "a"]["metadata"]["annotations"])

        await wait_until_async(problem, what="the run says why")
    assert forge.requests == 0
