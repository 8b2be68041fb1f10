"""kubernetes_asyncio: watches, exec over its WebSocket client, logs, events of both groups, leader election."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.clients.installed import import_client
from tests.contract.clients.pods import SLEEPING, config_map_manifest, pod_manifest
from tests.support.waiting import wait_until_async

kubernetes = import_client("kubernetes_asyncio")
config = import_client("kubernetes_asyncio.config")
dynamic = import_client("kubernetes_asyncio.dynamic")
ws_client = import_client("kubernetes_asyncio.stream.ws_client")
leaderelection = import_client("kubernetes_asyncio.leaderelection.leaderelection")
electionconfig = import_client("kubernetes_asyncio.leaderelection.electionconfig")
leaselock = import_client("kubernetes_asyncio.leaderelection.resourcelock.leaselock")


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Any]:
    await config.load_kube_config(str(kubeconfig))
    async with kubernetes.client.ApiClient() as opened:
        yield opened


@pytest.fixture
def core(client: Any) -> Any:
    return kubernetes.client.CoreV1Api(client)


async def _start_pod(core: Any, namespace: str, script: str = SLEEPING) -> None:
    await core.create_namespaced_pod(namespace, pod_manifest("p", script))

    async def is_running() -> bool:
        return bool((await core.read_namespaced_pod("p", namespace)).status.phase == "Running")

    await wait_until_async(is_running, what="the pod to run")


async def test_a_watch_follows_a_list(core: Any, namespace: str) -> None:
    await core.create_namespaced_config_map(namespace, config_map_manifest("a", k="1"))
    seen = []
    async with kubernetes.watch.Watch() as watch:
        selector = "metadata.name=a"
        async for event in watch.stream(
            core.list_namespaced_config_map, namespace, field_selector=selector, timeout_seconds=20
        ):
            seen.append((event["type"], event["object"].data))
            if event["type"] == "ADDED":
                await core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
            elif event["type"] == "MODIFIED":
                await core.delete_namespaced_config_map("a", namespace)
            else:
                break
    assert seen == [("ADDED", {"k": "1"}), ("MODIFIED", {"k": "2"}), ("DELETED", {"k": "2"})]


@pytest.mark.parametrize("as_text", [True, False])
async def test_exec_takes_text_and_bytes(core: Any, namespace: str, as_text: bool) -> None:
    await _start_pod(core, namespace)
    async with ws_client.WsApiClient() as sockets:
        streams = {"stdin": True, "stdout": True, "stderr": True, "tty": False}
        connection = await kubernetes.client.CoreV1Api(sockets).connect_get_namespaced_pod_exec(
            "p", namespace, command=["sh", "-c", "read line; echo got $line; exit 5"], _preload_content=False, **streams
        )
        received: dict[int, bytes] = {}
        async with asyncio.timeout(20), connection as socket:
            if as_text:
                await socket.send_str("\x00grüezi\n")
            else:
                await socket.send_bytes(b"\x00gr\xc3\xbcezi\n")
            async for message in socket:
                received[message.data[0]] = received.get(message.data[0], b"") + message.data[1:]
    assert received[1].decode() == "got grüezi\n"
    assert ws_client.WsApiClient.parse_error_data(received[3]) == 5


async def test_logs_are_read_and_followed(core: Any, namespace: str) -> None:
    await _start_pod(core, namespace, "echo one; sleep 0.3; echo two")
    async with kubernetes.watch.Watch() as watch:
        lines = [line async for line in watch.stream(core.read_namespaced_pod_log, "p", namespace, follow=True)]
    assert lines == ["one\n", "two\n"]
    assert await core.read_namespaced_pod_log("p", namespace, tail_lines=1) == "two\n"


async def test_events_are_served_by_both_groups(client: Any, core: Any, namespace: str) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": namespace}
    event = {
        "metadata": {"name": "a.1"},
        "involvedObject": reference,
        "reason": "Tested",
        "message": "by a client",
        "type": "Normal",
        # This client rejects events of events.k8s.io without a time, and with a time the others are required.
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "action": "Testing",
        "reportingComponent": "c8s.dev/tests",
        "reportingInstance": "tests-1",
    }
    await core.create_namespaced_event(namespace, event)
    events = kubernetes.client.EventsV1Api(client)
    (found,) = (await events.list_namespaced_event(namespace, field_selector="reason=Tested")).items
    assert (found.regarding.name, found.note) == ("a", "by a client")


async def test_the_dynamic_client_applies(client: Any, namespace: str) -> None:
    discovered = await dynamic.DynamicClient(client)
    resource = await discovered.resources.get(api_version="v1", kind="ConfigMap")
    for value in ("1", "2"):
        manifest = config_map_manifest("a", k=value)
        applied = await resource.server_side_apply(body=manifest, namespace=namespace, field_manager="one")
    assert applied.data.to_dict() == {"k": "2"}


async def test_a_lease_passes_to_the_next_candidate(client: Any, namespace: str) -> None:
    leading: list[str] = []

    def run(name: str) -> asyncio.Task[None]:
        async def lead() -> None:
            leading.append(name)
            await asyncio.Event().wait()

        async def stop() -> None:
            leading.remove(name)

        lock = leaselock.LeaseLock("lock", namespace, name, client)
        election = electionconfig.Config(
            lock, lease_duration=2, renew_deadline=1.5, retry_period=1, onstarted_leading=lead, onstopped_leading=stop
        )
        return asyncio.create_task(leaderelection.LeaderElection(election).run())

    first = run("first")
    await wait_until_async(lambda: leading == ["first"], what="the first candidate to lead")
    second = run("second")
    first.cancel()
    await asyncio.wait((first,))
    await wait_until_async(lambda: "second" in leading, what="the second candidate to lead")
    lease = await kubernetes.client.CoordinationV1Api(client).read_namespaced_lease("lock", namespace)
    assert lease.spec.holder_identity == "second"
    second.cancel()
    await asyncio.wait((second,))
