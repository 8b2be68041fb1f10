"""The whole controller against the embedded cluster, over HTTP only: what a person with curl would see."""

import asyncio
import hashlib
import io
import json
import signal
import socket
import tarfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.integration.api.conftest import ADMIN, GUEST, SECONDS, WORKBENCH, Caller, Sandbox
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("controller")
ENDED = ("Succeeded", "Failed", "Cancelled")


def step(name: str, *commands: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.36", "commands": list(commands), **more}


async def start(api: Caller, name: str, *steps: dict[str, Any], **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if (key := body.pop("key", None)) else {}
    document = {"pipeline": {"version": "v1alpha1", "name": name, "steps": list(steps)}, **body}
    status, run = await api("POST", "runs", json=document, headers=headers)
    assert status == 201, run
    return run


async def changes(api: Caller, query: str = "", last: str | None = None) -> AsyncIterator[tuple[str | None, str, Any]]:
    """(id, kind, data) of each event."""
    headers = {**api.headers, **({"Last-Event-ID": last} if last else {})}
    async with api.http.get(f"{api.base}/watch/runs{query}", headers=headers) as answer:
        assert answer.status == 200
        fields: dict[str, str] = {}
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            elif fields:
                yield fields.get("id") or None, fields["event"], json.loads(fields["data"])
                fields = {}


async def ended(api: Caller, run: str) -> Any:
    """The run once it has ended, seen by watch."""
    async for _, kind, found in changes(api, f"?run={run}"):
        if kind in ("added", "modified") and found["status"]["phase"] in ENDED:
            return found
    raise AssertionError("the watch ended")


async def frames(logs: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Any]:
    """The frames of a socket, also those that came in one batch."""
    async for message in logs:
        found = message.json()
        for frame in found["frames"] if found["type"] == "batch" else [found]:
            yield frame


async def first_line(logs: aiohttp.ClientWebSocketResponse) -> str:
    """The first line's text."""
    async for frame in frames(logs):
        if frame["type"] == "lines":
            return str(frame["lines"][0][1])
    raise AssertionError("the socket ended without a line")


async def test_a_run_is_created_seen_and_read(api: Caller) -> None:
    run = await start(api, "path", step("one", "echo hello"), step("two", "echo $C8S_RUN", dependsOn=["one"]))
    phases = []
    async for _, kind, found in changes(api, f"?run={run['name']}&resourceVersion={run['resourceVersion']}"):
        assert kind in ("added", "modified", "bookmark")
        if kind != "bookmark":
            phases.append(found["status"]["phase"])
        if phases and phases[-1] in ENDED:
            break
    assert phases[-1] == "Succeeded"
    assert await api("GET", f"runs/{run['name']}/steps/two/logs") == (200, f"{run['name']}\n".encode())
    status, listed = await api("GET", "runs?pipeline=path&phase=Succeeded")
    assert (status, [each["name"] for each in listed["items"]]) == (200, [run["name"]])
    attempts = [attempt for each in found["status"]["steps"] for attempt in each["attempts"]]
    assert all(attempt["log"]["archived"] for attempt in attempts)


async def test_websocket_streams_live_lines_until_the_run_ends(api: Caller) -> None:
    run = await start(
        api, "live", step("talk", "for i in 1 2 3; do echo line $i; sleep 0.1; done"), step("silent", "true")
    )
    async with api.http.ws_connect(f"{api.base}/runs/{run['name']}/logs/stream", headers=api.headers) as logs:
        received = [frame async for frame in frames(logs)]
    kinds = [frame["type"] for frame in received]
    assert kinds[-1] == "done"
    assert kinds.count("end") == 2
    texts = [text for frame in received if frame["type"] == "lines" for _, text in frame["lines"]]
    assert texts == ["line 1", "line 2", "line 3"]
    url = f"{api.base}/runs/{run['name']}/logs/stream?step=talk&after=talk:1:step:2"
    async with api.http.ws_connect(url, headers=api.headers) as logs:
        resumed = [frame async for frame in frames(logs)]
    assert [text for frame in resumed if frame["type"] == "lines" for _, text in frame["lines"]] == ["line 3"]


def tree(**files: str) -> tuple[str, bytes]:
    """A tar.gz of these files, and its digest."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    data = out.getvalue()
    return f"sha256:{hashlib.sha256(data).hexdigest()}", data


async def test_files_go_in_travel_between_steps_and_come_out(api: Caller) -> None:
    digest, data = tree(src__a="content")
    assert (await api("PUT", f"sources/{digest}", data=data))[0] == 201
    run = await start(
        api,
        "files",
        step("make", "mkdir dist", "cat src/a src/a > dist/b", artifacts=["dist/**"]),
        step("use", "cat dist/b", dependsOn=["make"]),
        source={"archive": {"digest": digest}},
    )
    found = await ended(api, run["name"])
    assert found["status"]["phase"] == "Succeeded", found["status"]
    assert (await api("GET", f"runs/{run['name']}/steps/use/logs"))[1] == b"contentcontent"
    _, listed = await api("GET", f"runs/{run['name']}/artifacts")
    assert [(each["step"], each["path"], each["size"]) for each in listed["items"]] == [("make", "dist/b", 14)]
    _, packed = await api("GET", f"runs/{run['name']}/artifacts/make")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["dist/b"]


async def test_secret_reaches_only_its_step(api: Caller, sandbox: Sandbox) -> None:
    assert (await api("PUT", "secrets/vault", json={"data": {"word": "correct-horse"}}))[0] == 200
    use = {"secretRef": "vault", "key": "word", "envVar": "WORD"}
    run = await start(api, "hush", step("tell", "echo it is $WORD", 'test "$WORD" = correct-horse', secrets=[use]))
    assert (await ended(api, run["name"]))["status"]["phase"] == "Succeeded"
    assert (await api("GET", f"runs/{run['name']}/steps/tell/logs"))[1] == b"it is ***\n"
    assert "correct-horse" not in sandbox.log
    for file in (sandbox.folder / "store").rglob("*"):
        assert not file.is_file() or b"correct-horse" not in file.read_bytes()


async def test_a_cancelled_run_ends_and_keeps_its_log(api: Caller) -> None:
    run = await start(api, "long", step("sleep", "echo begun", "sleep 60"), step("after", "true", dependsOn=["sleep"]))
    async with api.http.ws_connect(f"{api.base}/runs/{run['name']}/logs/stream", headers=api.headers) as logs:
        assert await first_line(logs) == "begun"
    status, asked = await api("POST", f"runs/{run['name']}/cancel")
    assert (status, asked["cancelRequested"]) == (202, True)
    found = await ended(api, run["name"])
    assert found["status"]["phase"] == "Cancelled"
    assert (await api("GET", f"runs/{run['name']}/steps/sleep/logs"))[1].startswith(b"begun\n")
    assert (await api("POST", f"runs/{run['name']}/cancel"))[0] == 409


async def test_number_of_a_deleted_run_is_not_reused(api: Caller) -> None:
    first = await start(api, "gone", step("one", "true"))
    await ended(api, first["name"])
    assert (await api("DELETE", f"runs/{first['name']}"))[0] == 204
    async for _, kind, found in changes(api):
        if (kind == "bookmark") or (kind == "deleted" and found["name"] == first["name"]):
            break
    assert (await start(api, "gone", step("one", "true")))["name"] == "gone-2"


async def grant(http: aiohttp.ClientSession, sandbox: Sandbox, user: str, namespace: str) -> None:
    """A namespace, and all rights on runs and secrets in it for a user, as an administrator would give them."""
    headers = {"Authorization": f"Bearer {ADMIN}"}
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": ["c8s.dev", ""], "resources": ["*"], "verbs": ["*"]}]
    role = {"kind": "Role", "name": "all", "apiGroup": "rbac.authorization.k8s.io"}
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "all"}}
    for path, body in (
        ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        (f"{rbac}/roles", {**about, "kind": "Role", "rules": rules}),
        (
            f"{rbac}/rolebindings",
            {**about, "kind": "RoleBinding", "roleRef": role, "subjects": subjects},
        ),
    ):
        async with http.post(sandbox.cluster_url + path, json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()


async def test_rights_are_kubernetes_own(sandbox: Sandbox, http: aiohttp.ClientSession, api: Caller) -> None:
    run = await start(api, "mine", step("one", "echo private"))
    await ended(api, run["name"])
    await grant(http, sandbox, "guest", "theirs")
    guest = Caller(sandbox.url, http, GUEST)
    calls = [("GET", "runs"), ("GET", f"runs/{run['name']}"), ("DELETE", f"runs/{run['name']}"), ("GET", "secrets")]
    calls += [
        ("GET", "watch/runs"),
        ("GET", f"runs/{run['name']}/steps/one/logs"),
        ("GET", f"runs/{run['name']}/artifacts"),
    ]
    for method, path in calls:
        status, problem = await guest(method, path)
        assert (status, problem["type"]) == (403, "urn:c8s:problem:forbidden"), path
        assert "private" not in str(problem)
    theirs = Caller(sandbox.url, http, GUEST, "theirs")
    own = await start(theirs, "own", step("one", "true"))
    assert (await ended(theirs, own["name"]))["status"]["phase"] == "Succeeded"
    assert [each["name"] for each in (await theirs("GET", "runs"))[1]["items"]] == ["own-1"]
    assert (await guest("GET", "/api/v1/cluster"))[1]["namespaces"] == ["theirs"]


async def test_missing_namespace_is_not_found(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    nowhere = Caller(sandbox.url, http, ADMIN, "nowhere")
    document = {"pipeline": {"version": "v1alpha1", "name": "x", "steps": [step("one", "true")]}}
    assert (await nowhere("POST", "runs", json=document))[0] == 404


async def test_a_killed_controller_loses_and_repeats_nothing(
    fresh_sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    there = fresh_sandbox
    there.start_cluster()
    there.start_controller()
    wait_until(there.ready, what="the controller is ready")
    api = Caller(there.url, http, WORKBENCH)
    steps = [step("one", "echo one; sleep 1; echo done"), step("two", "echo two", dependsOn=["one"])]
    run = await start(api, "survivor", *steps, key="k")
    async with api.http.ws_connect(f"{api.base}/runs/{run['name']}/logs/stream", headers=api.headers) as logs:
        assert await first_line(logs) == "one"
    assert there.controller is not None
    there.controller.kill()
    there.controller.wait()
    there.start_controller()
    again = await start(api, "survivor", *steps, key="k")
    assert again["uid"] == run["uid"]
    found = await ended(api, run["name"])
    assert found["status"]["phase"] == "Succeeded"
    assert [len(each["attempts"]) for each in found["status"]["steps"]] == [1, 1]
    assert (await api("GET", f"runs/{run['name']}/steps/one/logs"))[1] == b"one\ndone\n"
    old = [event async for event in changes(api, "?resourceVersion=1")]
    assert [kind for _, kind, _ in old] == ["restart"]


async def test_controller_waits_for_its_cluster(fresh_sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    there = fresh_sandbox
    there.cluster_socket.close()
    there.cluster_socket = probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    there.start_controller()
    api = Caller(there.url, http, WORKBENCH)
    status, answer = await api("GET", "/readyz")
    assert (status, answer["waitingFor"][0]["part"]) == (503, "kubernetes")
    status, problem = await api("GET", "runs")
    assert (status, problem["type"]) == (503, "urn:c8s:problem:unavailable")
    probe.listen(128)
    there.start_cluster()
    await asyncio.to_thread(wait_until, there.ready, what="the controller finds its cluster")
    assert (await api("GET", "runs"))[0] == 200


async def test_shutdown_ends_streams(fresh_sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    there = fresh_sandbox
    there.start_cluster()
    there.start_controller()
    wait_until(there.ready, what="the controller is ready")
    api = Caller(there.url, http, WORKBENCH)
    run = await start(api, "open", step("one", "echo here; sleep 30"))
    logs = await api.http.ws_connect(f"{api.base}/runs/{run['name']}/logs/stream", headers=api.headers)
    assert await first_line(logs) == "here"
    events = changes(api)
    await anext(events)
    assert there.controller is not None
    there.controller.send_signal(signal.SIGTERM)
    async for _ in events:
        pass
    while not (await logs.receive(timeout=SECONDS)).type.name.startswith("CLOS"):
        pass
    await logs.close()
    assert await asyncio.to_thread(there.controller.wait, 5) == 0
    lines = [json.loads(line) for line in there.log.splitlines()]
    assert lines[-1]["message"] == "the controller has stopped"
    assert not [line for line in lines if line["level"] in ("error", "critical")]
