"""From a push to the end of its run: receiver, operator and agent on the embedded cluster, with a git server."""

from __future__ import annotations

import json
import signal
from typing import Any

import aiohttp
import pytest

from controller.webhooks.signature import hex_digest
from tests.integration.api.conftest import GUEST, SECONDS, WORKBENCH, Caller, Sandbox
from tests.integration.api.test_whole_path import ended
from tests.support.forges.git_server import GitServer, Repository, git
from tests.support.forges.payloads import Delivery, encode, github_pull_request, github_push
from tests.support.forges.server import forge_server
from tests.support.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.xdist_group("controller")
PASSWORD = "token-of-the-forge"
FILE = """\
version: v1alpha1
name: {name}
branches: [main]
events: [push, pull_request]
steps:
  - {{name: a, image: "busybox:1.36", commands: ["cat a.txt"]}}
"""


async def connect(api: Caller, name: str, repository: Repository, **more: Any) -> str:
    """A new connection; its webhook secret."""
    body = {"repository": repository.url, "provider": "github", **more}
    body["credentials"] = {"username": "x-access-token", "password": PASSWORD}
    status, answer = await api("PUT", f"connections/{name}", json=body)
    assert status == 201, answer
    return str(answer["webhookSecret"])


def about(delivery: Delivery, repository: Repository, commit: str, *, guid: str = "", before: str = "") -> Delivery:
    """The delivery with the repository and the commit of a test."""
    headers, document = delivery
    text = json.dumps(document).replace("https://github.com/octo/hello.git", repository.url)
    text = text.replace("0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", commit)
    if before:
        text = text.replace("6113728f27ae82c7b1a177c8d03f9e96e0adf246", before)
    return headers | ({"x-github-delivery": guid} if guid else {}), json.loads(text)


def push(repository: Repository, commit: str, **more: Any) -> Delivery:
    guid, before = more.pop("guid", ""), more.pop("before", "")
    _, document = github_push(**more)
    document["repository"].pop("pushed_at")
    return about((github_push()[0], document), repository, commit, guid=guid, before=before)


async def deliver(
    http: aiohttp.ClientSession, sandbox: Sandbox, name: str, secret: str, delivery: Delivery
) -> tuple[int, Any]:
    headers, document = delivery
    body = encode(document)
    signed = {**headers, "x-hub-signature-256": f"sha256={hex_digest(secret.encode(), body)}"}
    url = f"{sandbox.url}/webhooks/github/default/{name}"
    # A connection that is kept would end with the process that the test kills.
    async with http.post(url, data=body, headers={**signed, "connection": "close"}) as answer:
        return answer.status, await answer.json()


async def test_a_push_runs_the_pipeline_of_a_private_repository(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    repository = server.repository("octo/private")
    commit = repository.commit({".c8s.yaml": FILE.format(name="pushed"), "a.txt": "from the push\n"})
    secret = await connect(api, "private", repository)
    status, answer = await deliver(http, sandbox, "private", secret, push(repository, commit, changed=["a.txt"]))
    assert status == 202, answer
    (name,) = answer["runs"]
    run = await ended(api, name)
    assert (run["status"]["phase"], run["pipeline"], run["createdBy"]) == ("Succeeded", "pushed", "c8s-webhook")
    assert run["trigger"]["connection"] == "private"
    _, log = await api("GET", f"runs/{name}/steps/a/logs")
    assert b"from the push" in log

    async def is_listed() -> bool:
        _, found = await api("GET", "connections/private")
        return bool(found["deliveries"]) and found["ready"] is True

    await wait_until_async(is_listed, SECONDS, what="the delivery is in the status")
    _, found = await api("GET", "connections/private")
    (delivery,) = found["deliveries"]
    assert (delivery["outcome"], delivery["about"]) == ("Started", "push to main")
    assert [run["phase"] for run in delivery["runs"]] == ["Succeeded"]
    assert found["webhookUrl"] == f"{sandbox.url}/webhooks/github/default/private"
    assert secret not in json.dumps(found), "a secret is shown once"


async def test_runs_of_deliveries_are_numbered_with_those_of_users(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    repository = server.repository("octo/numbered")
    text = (
        FILE.format(name="numbered")
        .replace("commands:", 'env: {NUMBER: "number {{run.number}}"}, commands:')
        .replace("cat a.txt", "echo $NUMBER")
    )
    commit = repository.commit({".c8s.yaml": text})
    secret = await connect(api, "numbered", repository)
    _, answer = await deliver(http, sandbox, "numbered", secret, push(repository, commit))
    run = await ended(api, answer["runs"][0])
    assert (run["status"]["phase"], run["number"]) == ("Succeeded", 1), run["status"]
    _, log = await api("GET", f"runs/{run['name']}/steps/a/logs")
    assert b"number 1" in log
    step = {"name": "a", "image": "busybox:1.36", "commands": ["true"]}
    body = {"pipeline": {"version": "v1alpha1", "name": "numbered", "steps": [step]}}
    assert (await api("POST", "runs", json=body))[1]["name"] == "numbered-2"
    definition = {**body["pipeline"], "events": ["push"], "branches": ["main"]}
    status, stored = await api("PUT", "pipelines/numbered", json={"definition": definition})
    assert status in (200, 201), stored
    await connect(api, "stored-numbered", repository, pipelines=["numbered"])
    _, connected = await api("GET", "connections/stored-numbered")
    assert connected["pipelines"] == ["numbered"]
    payload = push(repository, commit)
    body = {"headers": payload[0], "body": json.dumps(payload[1])}
    _, answer = await api("POST", "connections/stored-numbered/deliveries", json=body)
    assert (await ended(api, answer["runs"][0]))["number"] == 3


@pytest.mark.parametrize(
    ("file", "outcome", "reason"),
    [
        (FILE.format(name="topic").replace("[main]", "[topic]"), "Ignored", "the branch main matches none of: topic"),
        ("version: v1alpha1\nname: wrong\nsteps: 7\n", "Refused", ".c8s.yaml:3:8"),
    ],
)
async def test_a_delivery_says_why_the_pipeline_of_its_commit_did_not_run(
    sandbox: Sandbox,
    http: aiohttp.ClientSession,
    api: Caller,
    server: GitServer,
    file: str,
    outcome: str,
    reason: str,
) -> None:
    name = f"why-{outcome.lower()}"
    repository = server.repository(f"octo/{name}")
    commit = repository.commit({".c8s.yaml": file})
    secret = await connect(api, name, repository)
    _, answer = await deliver(http, sandbox, name, secret, push(repository, commit))

    async def delivery() -> Any:
        _, found = await api("GET", f"connections/{name}")
        return next((each for each in found["deliveries"] if each["outcome"] != "Started"), None)

    found = await wait_until_async(delivery, SECONDS, what="the outcome in the status")
    assert (found["outcome"], [each["name"] for each in found["runs"]]) == (outcome, answer["runs"])
    assert reason in found["reason"]
    # The reason outlives the run.
    assert (await api("DELETE", f"runs/{answer['runs'][0]}"))[0] == 204
    _, listed = await api("GET", f"connections/{name}")
    assert reason in listed["deliveries"][0]["reason"]


async def test_a_secret_of_a_connection_is_not_for_steps(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    repository = server.repository("octo/thief")
    text = FILE.format(name="thief").replace(
        'commands: ["cat a.txt"]',
        'commands: ["echo $T"], secrets: [{secretRef: thief-auth, key: password, envVar: T}]',
    )
    commit = repository.commit({".c8s.yaml": text})
    secret = await connect(api, "thief", repository)
    _, answer = await deliver(http, sandbox, "thief", secret, push(repository, commit))
    run = await ended(api, answer["runs"][0])
    step = next(each for each in run["status"]["steps"] if each["name"] == "a")
    assert (step["phase"], step["reason"]) == ("Failed", "SecretMissing")
    assert "is not for pipelines" in step["message"]


async def test_the_credentials_of_a_connection_are_for_its_own_runs_only(api: Caller, server: GitServer) -> None:
    repository = server.repository("octo/borrowed")
    commit = repository.commit({"a.txt": "1"})
    await connect(api, "borrowed", repository)
    git_source = {"url": repository.url, "revision": commit, "secretRef": "borrowed-auth"}
    step = {"name": "a", "image": "busybox:1.36", "commands": ["true"]}
    body = {"pipeline": {"version": "v1alpha1", "name": "borrowed", "steps": [step]}, "source": {"git": git_source}}
    _, run = await api("POST", "runs", json=body)
    found = await ended(api, run["name"])
    assert found["status"]["phase"] == "Failed"
    assert "is not for pipelines" in found["status"]["message"]


async def test_the_credentials_of_a_connection_do_not_go_to_another_host(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    from tests.integration.api.conftest import ADMIN

    repository = server.repository("octo/moved")
    commit = repository.commit({".c8s.yaml": FILE.format(name="moved"), "a.txt": "1\n"})
    secret = await connect(api, "moved", repository)
    # With kubectl, past the API: localhost is another name than the one that the credentials are for.
    moved = repository.url.replace("127.0.0.1", "localhost")
    cluster = Caller(sandbox.cluster_url, http, ADMIN)
    path = "/apis/c8s.dev/v1alpha1/namespaces/default/repositoryconnections/moved"
    headers = {"Content-Type": "application/merge-patch+json"}
    assert (await cluster("PATCH", path, json={"spec": {"repository": moved}}, headers=headers))[0] == 200
    headers, document = push(repository, commit)
    document = json.loads(json.dumps(document).replace(repository.url, moved))

    async def is_accepted() -> Any:
        status, answer = await deliver(http, sandbox, "moved", secret, (headers, document))
        return answer.get("runs") if status == 202 else None

    (name,) = await wait_until_async(is_accepted, SECONDS, what="the receiver knows the changed connection")
    found = await ended(api, name)
    assert found["status"]["phase"] == "Failed"
    assert "not for localhost" in found["status"]["message"], found["status"]


async def test_a_strangers_pull_request_waits_for_an_approval_and_gets_no_secrets(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    await api("PUT", "secrets/word", json={"data": {"key": "abracadabra"}})
    repository = server.repository("octo/forked")
    uses = "[{secretRef: word, key: key, envVar: W}]"
    text = FILE.format(name="forked")
    text += f'  - {{name: b, image: "busybox:1.36", commands: ["echo $W"], secrets: {uses}}}\n'
    base = repository.commit({".c8s.yaml": text, "a.txt": "1\n"})
    repository.switch("stranger", base)
    head = repository.commit({"a.txt": "of a stranger\n"}, ref="refs/pull/2/head")
    secret = await connect(api, "forked", repository)
    delivery = about(github_pull_request(head="stranger/hello"), repository, head, guid="fork-1", before=base)
    _, answer = await deliver(http, sandbox, "forked", secret, delivery)
    (name,) = answer["runs"]

    async def waits() -> bool:
        _, run = await api("GET", f"runs/{name}")
        return bool(run["status"].get("reason") == "ApprovalRequired")

    await wait_until_async(waits, SECONDS, what="the run waits for an approval")
    _, run = await api("GET", f"runs/{name}")
    assert (run["status"]["phase"], run["status"]["steps"]) == ("Queued", [])
    assert f"c8s approve {name}" in run["status"]["message"]
    guest = Caller(sandbox.url, http, GUEST)
    assert (await guest("POST", f"runs/{name}/approve"))[0] == 403
    status, approved = await api("POST", f"runs/{name}/approve")
    assert (status, approved["trigger"]["approvedBy"]) == (202, "c8s-workbench")
    found = await ended(api, name)
    steps = {step["name"]: step for step in found["status"]["steps"]}
    assert steps["a"]["phase"] == "Succeeded", found["status"]
    assert steps["b"]["reason"] == "SecretMissing"
    assert "gets no secrets" in steps["b"]["message"]


async def test_an_approval_that_the_api_did_not_sign_starts_nothing(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    from tests.integration.api.conftest import ADMIN

    repository = server.repository("octo/forged")
    base = repository.commit({".c8s.yaml": FILE.format(name="forged"), "a.txt": "1\n"})
    head = repository.commit({"a.txt": "2\n"}, ref="refs/pull/2/head")
    secret = await connect(api, "forged", repository)
    delivery = about(github_pull_request(head="stranger/hello"), repository, head, guid="fork-2", before=base)
    _, answer = await deliver(http, sandbox, "forged", secret, delivery)
    (name,) = answer["runs"]
    cluster = Caller(sandbox.cluster_url, http, ADMIN)
    path = f"/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns/{name}"
    headers = {"Content-Type": "application/merge-patch+json"}
    forged = {"spec": {"approved": {"by": "c8s-workbench", "proof": "0" * 64}}}
    assert (await cluster("PATCH", path, json=forged, headers=headers))[0] == 200

    async def is_observed() -> bool:
        _, run = await api("GET", f"runs/{name}")
        return bool(run["status"].get("observedGeneration") == 2)

    await wait_until_async(is_observed, SECONDS, what="the operator has seen the forged approval")
    _, run = await api("GET", f"runs/{name}")
    assert run["status"]["reason"] == "ApprovalRequired"
    assert (await api("POST", f"runs/{name}/cancel"))[0] == 202
    found = await ended(api, name)
    assert (found["status"]["phase"], found["status"]["steps"]) == ("Cancelled", [])


async def test_a_payload_that_a_user_has_goes_through_the_same_receiver(api: Caller, server: GitServer) -> None:
    repository = server.repository("octo/replayed")
    commit = repository.commit({".c8s.yaml": FILE.format(name="replayed"), "a.txt": "1\n"})
    await connect(api, "replayed", repository)
    headers, document = push(repository, commit)
    body = {"headers": headers, "body": json.dumps(document)}
    status, answer = await api("POST", "connections/replayed/deliveries", json=body)
    assert (status, answer.get("outcome")) == (200, "Started"), answer
    assert (await ended(api, answer["runs"][0]))["status"]["phase"] == "Succeeded"
    _, found = await api("GET", "connections/replayed")
    (delivery,) = found["deliveries"]
    status, again = await api("POST", f"connections/replayed/deliveries/{delivery['id']}/replay")
    assert (status, again.get("outcome")) == (200, "Started"), (again, delivery)
    assert again["runs"] != answer["runs"]
    assert (await ended(api, again["runs"][0]))["status"]["phase"] == "Succeeded"
    _, found = await api("GET", "connections/replayed")
    assert found["deliveries"][0]["replayed"] == "c8s-workbench"
    assert (await api("POST", "connections/replayed/deliveries/none/replay"))[0] == 404


async def test_connections_are_listed_changed_and_deleted_with_their_secrets(
    sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller, server: GitServer
) -> None:
    from tests.integration.api.conftest import ADMIN

    repository = server.repository("octo/managed")
    secret = await connect(api, "managed", repository)
    body = {"repository": repository.url, "provider": "github", "forks": "never", "pipelines": ["x"]}
    status, changed = await api("PUT", "connections/managed", json=body)
    assert (status, changed["forks"], changed["pipelines"]) == (200, "never", ["x"])
    assert "webhookSecret" not in changed
    commit = repository.commit({"a.txt": "1"})
    status, answer = await deliver(http, sandbox, "managed", secret, push(repository, commit))
    assert (status, answer["reason"]) == (200, "there is no PipelineConfig x"), "the secret is still the same"
    for wrong in (
        {"repository": "ext::sh -c x", "provider": "github"},
        {"repository": repository.url.replace("://", "://user:pw@"), "provider": "github"},
        {"repository": repository.url, "provider": "svn"},
        {"repository": repository.url, "provider": "gitlab"},
        {"repository": repository.url, "provider": "github", "credentials": {"key": "x"}},
    ):
        assert (await api("PUT", "connections/managed", json=wrong))[0] in (400, 422), wrong
    elsewhere = {"repository": "https://evil.example.org/octo/managed", "provider": "github"}
    status, refused = await api("PUT", "connections/managed", json=elsewhere)
    assert (status, "evil.example.org" in refused["detail"]) == (409, True), "the token would go to another host"
    names = [each["name"] for each in (await api("GET", "connections"))[1]["items"]]
    assert "managed" in names
    assert (await api("DELETE", "connections/managed"))[0] == 204
    cluster = Caller(sandbox.cluster_url, http, ADMIN)

    async def is_gone() -> bool:
        found = [
            await cluster("GET", f"/api/v1/namespaces/default/secrets/managed-{each}") for each in ("webhook", "auth")
        ]
        return [status for status, _ in found] == [404, 404]

    await wait_until_async(is_gone, SECONDS, what="the connection's Secrets are gone")
    assert (await api("GET", "connections/managed"))[0] == 404


async def test_the_forge_is_told_how_the_run_goes_even_by_the_next_controller(
    fresh_sandbox: Sandbox, http: aiohttp.ClientSession, server: GitServer
) -> None:
    sandbox = fresh_sandbox
    sandbox.start_cluster()
    sandbox.start_controller()
    wait_until(sandbox.ready, SECONDS, what="the controller is ready")
    api = Caller(sandbox.url, http, WORKBENCH)
    repository = server.repository("octo/hello")
    commit = repository.commit({".c8s.yaml": FILE.format(name="reported"), "a.txt": "1\n"})
    with forge_server("github") as forge:
        secret = await connect(api, "reported", repository, apiUrl=forge.url)
        # The forge is away until the controller was killed, after the run's end.
        forge.answers = [(503, {})] * 1000
        status, answer = await deliver(http, sandbox, "reported", secret, push(repository, commit))
        assert status == 202, answer
        (name,) = answer["runs"]
        assert (await ended(api, name))["status"]["phase"] == "Succeeded"
        await wait_until_async(lambda: forge.requests > 0, SECONDS, what="the forge was asked")
        assert sandbox.controller is not None
        sandbox.controller.send_signal(signal.SIGKILL)
        sandbox.controller.wait(SECONDS)
        forge.answers = []
        sandbox.start_controller()
        wait_until(sandbox.ready, SECONDS, what="the controller is ready again")
        await wait_until_async(lambda: forge.statuses, SECONDS, what="the forge was informed")
        assert forge.statuses == {(commit, "c8s/reported"): ["success"]}, "the last state, once"
        assert forge.descriptions == ["2 of 2 steps succeeded"]
        assert forge.problems == []

    async def is_recorded() -> bool:
        async with http.get(f"{api.base}/runs/{name}", headers={**api.headers, "connection": "close"}) as found:
            return bool((await found.json())["trigger"]["reported"] == {"c8s/reported": "success"})

    await wait_until_async(is_recorded, SECONDS, what="the run says what was reported")


async def test_a_killed_controller_loses_no_delivery_and_runs_none_twice(
    fresh_sandbox: Sandbox, http: aiohttp.ClientSession, server: GitServer
) -> None:
    """It is killed at once after each answer; the forge delivers each again."""
    sandbox = fresh_sandbox
    sandbox.start_cluster()
    sandbox.start_controller()
    wait_until(sandbox.ready, SECONDS, what="the controller is ready")
    api = Caller(sandbox.url, http, WORKBENCH)
    repository = server.repository("octo/killed")
    commit = repository.commit({".c8s.yaml": FILE.format(name="killed"), "a.txt": "1\n"})
    secret = await connect(api, "killed", repository)
    names = []
    for number in range(3):
        delivery = push(repository, commit, guid=f"kill-{number}")
        status, answer = await deliver(http, sandbox, "killed", secret, delivery)
        assert status == 202, answer
        names += answer["runs"]
        assert sandbox.controller is not None
        sandbox.controller.send_signal(signal.SIGKILL)
        sandbox.controller.wait(SECONDS)
        sandbox.start_controller()
        wait_until(sandbox.ready, SECONDS, what="the controller is ready again")
        assert await deliver(http, sandbox, "killed", secret, delivery) == (status, answer)
    for name in names:
        assert (await ended(api, name))["status"]["phase"] == "Succeeded"
    _, listed = await api("GET", "runs")
    assert sorted(run["name"] for run in listed["items"]) == sorted(names)
    assert git(repository.bare, "rev-parse", "main") == commit
