"""Calls beyond creating and watching a run, on the embedded cluster: commands in steps, kept pipelines, reruns, events,
the namespace's state, single files and links.
"""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.integration.api.conftest import ADMIN, GUEST, SECONDS, Caller, Sandbox
from tests.integration.api.test_whole_path import start, step
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.xdist_group("controller")


async def wait_for_end(api: Caller, run: str) -> Any:
    """The run, as soon as it has ended."""

    async def ended() -> Any:
        _, found = await api("GET", f"runs/{run}")
        return found if found["status"]["phase"] in ("Succeeded", "Failed", "Cancelled") else None

    return await wait_until_async(ended, SECONDS, what=f"the end of {run}", interval=0.02)


async def running_step(api: Caller, name: str) -> str:
    """A run whose step has started and waits for a file to end."""
    run = str(
        (await start(api, name, step("hold", "echo ready; while ! test -e /workspace/go; do sleep 0.05; done")))["name"]
    )

    async def ready() -> bool:
        status, text = await api("GET", f"runs/{run}/steps/hold/logs")
        return status == 200 and b"ready" in text

    await wait_until_async(ready, SECONDS, what=f"the first line of {run}", interval=0.02)
    return run


async def receive_all(socket: aiohttp.ClientWebSocketResponse) -> tuple[bytes, bytes, list[Any]]:
    """What came until the socket closed: stdout, stderr, frames."""
    out, err, frames = b"", b"", []
    async with asyncio.timeout(SECONDS):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                out += message.data[1:] if message.data[0] == 1 else b""
                err += message.data[1:] if message.data[0] == 2 else b""
            else:
                frames.append(json.loads(message.data))
    return out, err, frames


async def test_a_command_runs_inside_a_step(api: Caller, sandbox: Sandbox) -> None:
    run = await running_step(api, "inside")
    url = f"{api.base}/runs/{run}/steps/hold/exec"
    words = [("command", word) for word in ("sh", "-c", "cat; echo oops >&2; echo $C8S_STEP; exit 7")]
    async with api.http.ws_connect(url, params=words, headers=api.headers) as socket:
        await socket.send_bytes(b"typed\n\xff\x00")
        await socket.send_str('{"type": "eof"}')
        out, err, frames = await receive_all(socket)
    assert out.startswith(b"typed\n\xff\x00")
    assert (err, frames) == (b"oops\n", [{"type": "exit", "code": 7}])
    async with api.http.ws_connect(
        url, params={"tty": "true", "columns": "91", "rows": "17"}, headers=api.headers
    ) as socket:
        await socket.send_bytes(b"stty size; touch $C8S_WORKSPACE/go /workspace/go; exit\n")
        out, _, frames = await receive_all(socket)
    assert b"17 91" in out
    assert frames[-1]["type"] == "exit"
    await api("POST", f"runs/{run}/cancel")
    await wait_for_end(api, run)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await api.http.ws_connect(url, headers=api.headers)
    assert caught.value.status == 409


async def test_ticket_opens_one_exec_websocket(api: Caller, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    run = await running_step(api, "ticketed")
    path = f"/api/v1/namespaces/default/runs/{run}/steps/hold/exec"
    _, ticket = await api("POST", "/api/v1/tickets", json={"path": path})
    url = f"{sandbox.url}{path}?command=true&ticket={ticket['ticket']}"
    async with http.ws_connect(url) as socket:
        assert (await receive_all(socket))[2] == [{"type": "exit", "code": 0}]
    for address, headers, status in (
        (url, {}, 401),
        (sandbox.url + path, {"Authorization": f"Bearer {GUEST}"}, 403),
        (sandbox.url + path, {**api.headers, "Origin": "http://evil.example"}, 403),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(address, headers=headers)
        assert caught.value.status == status
    await api("POST", f"runs/{run}/cancel")
    await wait_for_end(api, run)
    assert ticket["ticket"] not in sandbox.log


async def test_pipeline_is_stored_run_changed_and_deleted(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    api = Caller(sandbox.url, http, ADMIN)
    definition: dict[str, Any] = {
        "version": "v1alpha1",
        "name": "kept",
        "env": {"A": "1"},
        "steps": [step("say", "echo $A")],
    }
    assert (await api("PUT", "pipelines/kept", json={"definition": definition}))[0] == 201
    definition["env"] = {"A": "2"}
    status, stored = await api("PUT", "pipelines/kept", json={"definition": definition})
    assert (status, stored["definition"]) == (200, definition)
    _, listed = await api("GET", "pipelines")
    assert "kept" in [each["name"] for each in listed["items"]]
    assert (await api("PUT", "pipelines/other", json={"definition": definition}))[0] == 422
    status, run = await api("POST", "runs", json={"pipelineRef": "kept"})
    assert status == 201
    assert (await wait_for_end(api, run["name"]))["status"]["phase"] == "Succeeded"
    assert (await api("GET", f"runs/{run['name']}/steps/say/logs"))[1] == b"2\n"
    assert [(await api("DELETE", "pipelines/kept"))[0] for _ in range(2)] == [204, 404]


async def test_rerun_events_and_namespace_state(api: Caller) -> None:
    first = (await start(api, "again", step("fail", "exit 3"), branch="main"))["name"]
    await wait_for_end(api, first)
    status, second = await api("POST", f"runs/{first}/rerun", json={})
    assert (status, second["rerunOf"], second["branch"]) == (201, first, "main")
    assert (await wait_for_end(api, second["name"]))["status"]["phase"] == "Failed"

    async def objects_of_events() -> set[tuple[str, str]]:
        _, events = await api("GET", f"runs/{first}/events")
        return {(each["object"]["kind"], each["object"]["name"]) for each in events["items"]}

    async def has_events_of_the_cluster() -> bool:
        return {"Job", "Pod"} <= {kind for kind, _ in await objects_of_events()}

    # The cluster's own components write their events a moment later.
    await wait_until_async(has_events_of_the_cluster, SECONDS, what="events of the run's Job and pod")
    found = await objects_of_events()
    assert {kind for kind, _ in found} == {"PipelineRun", "Job", "Pod"}
    names = {name for _, name in found}
    assert not any(second["name"] in name for name in names)
    _, state = await api("GET", "cluster")
    assert {"name": "kubernetes", "ready": True, "message": None} in state["ready"]
    assert state["queue"]["depth"] >= 0
    _, page = await api("GET", "runs?text=AGAIN&sort=name&limit=1")
    assert (page["items"][0]["name"], "continue" in page) == (first, True)


async def test_one_file_out_of_many_and_links(api: Caller, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    commands = [
        "echo made",
        "mkdir -p 'out/a b'",
        "head -c 3000000 /dev/zero > out/large",
        "printf hi > 'out/a b/ü.txt'",
    ]
    run = (await start(api, "files", step("make", *commands, artifacts=["out/**"])))["name"]
    assert (await wait_for_end(api, run))["status"]["phase"] == "Succeeded"
    base = f"runs/{run}/artifacts/make"
    assert await api("GET", f"{base}/files/out/a%20b/%C3%BC.txt") == (200, b"hi")
    status, large = await api("GET", f"{base}/files/out/large")
    assert (status, large) == (200, bytes(3_000_000))
    for missing in ("out/nothing", "out/a%20b", "..%2F..%2Fagent.key", "out%2F..%2Fout%2Flarge", "%2Fetc%2Fpasswd"):
        async with http.get(URL(f"{api.base}/{base}/files/{missing}", encoded=True), headers=api.headers) as answer:
            assert answer.status == 404, missing
    for path in (f"{base}?redirect=true", f"runs/{run}/steps/make/logs?redirect=true"):
        async with http.get(f"{api.base}/{path}", headers=api.headers, allow_redirects=False) as answer:
            assert answer.status == 302
            link = answer.headers["Location"]
        async with http.get(link, headers={"Range": "bytes=0-0"}) as part:
            assert (part.status, len(await part.read())) == (206, 1)
        async with http.get(link + "0") as broken:
            assert broken.status == 403
