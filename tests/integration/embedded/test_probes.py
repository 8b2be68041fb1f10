"""Probes and lifecycle hooks behave as with a real kubelet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from embedded.api.scheme import PODS, ObjectRef
from embedded.storage.sqlite import StorageKey
from tests.integration.embedded.conftest import Cluster
from tests.support.engine import TEST_IMAGE
from tests.support.waiting import LONGEST

Json = dict[str, Any]
VOLUME: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
_UNTIL_SIGTERM = "trap 'exit 143' TERM; while true; do sleep 0.1; done"
WITH_VOLUME: Json = {"volumes": [{"name": "w", "emptyDir": {}}]}


def main_status(pod: Json) -> Json:
    return dict((pod["status"].get("containerStatuses") or [{}])[0])


def ready(pod: Json) -> str:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions") or []}
    return str(conditions.get("Ready"))


def file_probe(name: str, **more: Any) -> Json:
    # A busy machine may need more than the usual second for a command.
    probe = {"exec": {"command": ["test", "-e", f"/w/{name}"]}, "periodSeconds": 1, "timeoutSeconds": 60}
    return probe | {"failureThreshold": 1, **more}


async def test_a_failed_liveness_probe_restarts_the_container(cluster: Cluster) -> None:
    script = "touch alive; trap 'echo told; exit 4' TERM; echo life; while true; do sleep 0.05; done"
    more = WITH_VOLUME | {"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 5}
    startup = file_probe("alive", failureThreshold=100)
    cluster.pod(script, more=more, startupProbe=startup, livenessProbe=file_probe("alive"), **VOLUME)
    await cluster.wait_for_output(b"life")
    await cluster.wait_for(lambda p: main_status(p).get("started"))
    await cluster.run("rm", "/w/alive")
    pod = await cluster.wait_for(
        lambda p: main_status(p).get("restartCount") == 1 and main_status(p)["state"].get("running")
    )
    assert main_status(pod)["lastState"]["terminated"]["exitCode"] == 4
    assert await cluster.log(previous=True) == b"life\ntold\n"
    events = await cluster.wait_for_events("Unhealthy", "Killing")
    messages = [event["message"] for event in events if event["reason"] == "Killing"]
    assert messages == ["Container main failed liveness probe, will be restarted"]


async def test_a_failed_liveness_probe_respects_restart_policy_never(
    cluster: Cluster,
) -> None:
    script = "trap '' TERM; touch trapped; while true; do sleep 0.05; done"
    more = WITH_VOLUME | {"terminationGracePeriodSeconds": 1}
    startup = file_probe("trapped", failureThreshold=100)
    cluster.pod(script, more=more, startupProbe=startup, livenessProbe=file_probe("never"), **VOLUME)
    pod = await cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Failed"
    assert (main_status(pod)["restartCount"], main_status(pod)["state"]["terminated"]["exitCode"]) == (0, 137)


async def test_readiness_changes_restart_nothing(cluster: Cluster) -> None:
    cluster.pod("exec sleep 60", more=WITH_VOLUME, readinessProbe=file_probe("open"), **VOLUME)
    pod = await cluster.wait_for(lambda p: p["status"]["phase"] == "Running")
    assert (ready(pod), main_status(pod)["ready"], main_status(pod)["started"]) == ("False", False, True)
    await cluster.run("touch", "/w/open")
    assert main_status(await cluster.wait_for(lambda p: ready(p) == "True"))["ready"]
    await cluster.run("rm", "/w/open")
    pod = await cluster.wait_for(lambda p: ready(p) == "False")
    assert main_status(pod)["restartCount"] == 0


async def test_liveness_probes_wait_for_the_startup_probe(cluster: Cluster) -> None:
    script = "sleep 1.3; touch started; exec sleep 60"
    startup = file_probe("started", failureThreshold=100)
    cluster.pod(script, more=WITH_VOLUME, startupProbe=startup, livenessProbe=file_probe("started"), **VOLUME)
    pod = await cluster.wait_for(lambda p: main_status(p).get("started"))
    assert main_status(pod)["restartCount"] == 0
    events = await cluster.wait_for_events("Started")
    assert "Killing" not in {event["reason"] for event in events}


@pytest.mark.process_only("the server is a process of this machine")
@pytest.mark.parametrize(("status", "phase"), [(b"302 Found", "True"), (b"500 No", "False")])
async def test_http_probes_send_headers_and_check_the_status(cluster: Cluster, status: bytes, phase: str) -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    ports = [{"name": "web", "containerPort": server.sockets[0].getsockname()[1]}]
    get = {"port": "web", "path": "/healthz?x=1", "httpHeaders": [{"name": "X-Me", "value": "it"}]}
    probe = {"httpGet": get, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60}
    async with server:
        cluster.pod("exec sleep 60", readinessProbe=probe, ports=ports)
        request = await asyncio.wait_for(asked.get(), LONGEST)
        # The answer to the first one has been weighed by then.
        await asyncio.wait_for(asked.get(), LONGEST)
        await cluster.wait_for(lambda pod: ready(pod) == phase)
    assert request.startswith(b"GET /healthz?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-Me: it\r\n" in request


async def test_hooks_run_after_the_start_and_before_the_end(cluster: Cluster) -> None:
    lifecycle = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo hello > /dev/null; touch begun"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.2; touch asked"]}},
    }
    script = "trap 'ls; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    cluster.pod(script, more=WITH_VOLUME, lifecycle=lifecycle, **VOLUME)
    await cluster.wait_for(lambda p: main_status(p).get("started"))
    await cluster.wait_for_output(b"up")
    cluster.registry.patch(
        ObjectRef(PODS, "default", "p"), {"spec": {"activeDeadlineSeconds": 1}}, patch_type="strategic"
    )
    await cluster.wait_until_finished()
    assert (await cluster.log()).split() == [b"up", b"asked", b"begun"]


async def test_a_hanging_hook_ends_with_the_grace_period(cluster: Cluster) -> None:
    lifecycle = {"preStop": {"sleep": {"seconds": 600}}}
    cluster.pod("echo up; exec sleep 600", lifecycle=lifecycle, more={"terminationGracePeriodSeconds": 1})
    await cluster.wait_for_output(b"up")
    cluster.registry.delete(ObjectRef(PODS, "default", "p"))
    async with asyncio.timeout(LONGEST):
        await cluster.wait_until_deleted()


async def test_a_failed_post_start_hook_ends_its_container(cluster: Cluster) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["false"]}}}
    cluster.pod("exec sleep 600", lifecycle=lifecycle)
    pod = await cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Failed"
    assert await cluster.wait_for_events("FailedPostStartHook")


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {}},
        {"exec": {"command": ["true", "\0"]}},
        {"tcpSocket": {}},
        {"tcpSocket": {"port": "no such name"}},
        {"tcpSocket": {"port": 2**31}},
        {"httpGet": {"port": 1, "httpHeaders": [{"value": "nameless"}]}},
        {"httpGet": {"port": 1, "path": "/a\r\nX: injected"}},
        {"grpc": {"port": 2**31}},
        {"ofALaterVersion": {"port": 1}},
    ],
)
async def test_an_invalid_probe_fails_only_its_container(cluster: Cluster, probe: Json) -> None:
    timing = {"periodSeconds": 1, "failureThreshold": 1}
    container: Json = {
        "name": "main",
        "image": TEST_IMAGE,
        "command": ["sh", "-c", _UNTIL_SIGTERM],
        "livenessProbe": probe | timing,
    }
    spec: Json = {"restartPolicy": "Never", "containers": [container], "nodeName": ""}
    key = StorageKey("pods", "default", "p")
    # Stored directly, because the API rejects some of these: what reaches the kubelet must not break it.
    metadata = {"name": "p", "namespace": "default", "uid": "u-1", "generation": 1}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}
    cluster.registry.store.put(key, pod, None)
    ended = await cluster.wait_until_finished()
    assert ended["status"].get("reason") != "RunnerFailed"
    assert main_status(ended)["state"]["terminated"]["exitCode"] == 143
