"""What the controller says to Kubernetes would be accepted by a real one: it is held against schemas and rules."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.contract.conversation.rules import find_problems
from tests.integration.api.conftest import SECONDS, WORKBENCH, Caller, Sandbox
from tests.integration.api.test_whole_path import ended, step

pytestmark = pytest.mark.xdist_group("controller")


async def _shell(api: Caller, run: str, step_name: str) -> str:
    """The output of a command in a running step."""
    url = f"{api.base}/runs/{run}/steps/{step_name}/exec?command=echo&command=hello"
    output = b""
    async with api.http.ws_connect(url, headers=api.headers) as socket:
        async for message in socket:
            output += message.data if isinstance(message.data, bytes) else message.data.encode()
    return output.decode(errors="replace")


async def test_a_real_server_accepts_the_whole_conversation(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http:
        api = Caller(sandbox.url, http, WORKBENCH)
        assert (await api("PUT", "secrets/spoken", json={"data": {"word": "correct-horse"}}))[0] == 200
        use = {"secretRef": "spoken", "key": "word", "envVar": "WORD"}
        service = {"name": "db", "image": "none", "commands": ["sleep 60"], "ready": {"exec": ["true"]}}
        steps = [
            step("make", "echo $WORD > out.txt", secrets=[use], artifacts=["out.txt"]),
            step("wait", "while [ ! -e go ]; do sleep 0.1; done", dependsOn=["make"], services=[service]),
            step(
                "again", "test $C8S_ATTEMPT = 2", retryPolicy={"maxRetries": 1, "backoffSeconds": 1}, allowFailure=True
            ),
        ]
        pipeline = {"version": "v1alpha1", "name": "spoken", "steps": steps, "concurrency": {"group": "one"}}
        status, run = await api("POST", "runs", json={"pipeline": pipeline})
        assert status == 201, run
        await _wait_for_step(api, run["name"], "wait", "Running")
        assert "hello" in await _shell(api, run["name"], "wait")
        assert (await api("POST", f"runs/{run['name']}/cancel"))[0] == 202
        await ended(api, run["name"])
        assert (await api("GET", "runs?limit=1"))[0] == 200
        assert (await api("DELETE", f"runs/{run['name']}"))[0] == 204
        assert (await api("DELETE", "secrets/spoken"))[0] == 204
    requests = sandbox.proxy.requests()
    seen = {(request.method, _resource(request.target)) for request in requests}
    assert {
        ("GET", "pods/exec"),
        ("GET", "pods/log"),
        ("POST", "jobs"),
        ("POST", "pipelineruns"),
        ("DELETE", "pipelineruns"),
        ("POST", "subjectaccessreviews"),
        ("POST", "tokenreviews"),
        ("POST", "events"),
        ("GET", "watch jobs"),
        ("GET", "watch pods"),
        ("GET", "watch pipelineruns"),
    } <= seen
    assert {resource for _, resource in seen if resource.startswith("pipelineruns/")} == {"pipelineruns/status"}
    assert [problem for request in requests for problem in find_problems(request)] == []


def _resource(target: str) -> str:
    """`plural`, `plural/subresource` or `watch plural` of a request."""
    url = urlsplit(target)
    parts = url.path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    if "watch=true" in url.query:
        return f"watch {rest[0]}"
    return "/".join([*rest[:1], *rest[2:3]])


async def _wait_for_step(api: Caller, run: str, name: str, phase: str) -> None:
    found: Any = None
    async with asyncio.timeout(SECONDS):
        while found != phase:
            status = (await api("GET", f"runs/{run}"))[1]["status"]
            found = next((each["phase"] for each in status.get("steps") or [] if each["name"] == name), None)
