"""exec and attach: streams, terminals, WebSocket protocol, permissions, and the end of a command."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from embedded.api.interfaces import ExecError, ExecOptions
from embedded.api.scheme import PODS, ObjectRef
from embedded.api.status_errors import ApiError
from tests.integration.embedded.conftest import Cluster, is_alive
from tests.support.engine import TEST_IMAGE
from tests.support.kubernetes import ClusterProcess as Server
from tests.support.kubernetes import run_cluster
from tests.support.waiting import LONGEST, wait_until_async

Json = dict[str, Any]
_PODS = "/api/v1/namespaces/default/pods"
_READER = "reader-token"
_ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


async def start_pod(cluster: Cluster, script: str = "echo $$; exec sleep 60", **more: Any) -> int:
    """A pod whose container prints its number; the number, as soon as it runs."""
    cluster.pod(script, **more)
    return int((await cluster.wait_for_output(b"\n")).split()[0])


async def run_command(cluster: Cluster, *command: str, given: bytes = b"", **options: Any) -> tuple[int, bytes, bytes]:
    """(exit code, stdout, stderr) of a command in the pod `p`."""
    written: dict[int, bytes] = {1: b"", 2: b""}

    async def send(channel: int, data: bytes) -> None:
        written[channel] += data

    options = {"stdout": True, "stderr": True} | options
    session = await cluster.kubelet.exec("default", "p", ExecOptions(command, **options))
    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        ending = group.create_task(session.run(send))
        if given or options.get("stdin"):
            await session.write(given)
            session.close_input()
    return ending.result(), written[1], written[2]


@pytest.mark.engine_files
async def test_a_command_gets_the_environment_of_its_container(cluster: Cluster) -> None:
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    env = [{"name": "A", "value": "from the spec"}]
    await start_pod(cluster, more={"volumes": [{"name": "w", "emptyDir": {}}]}, env=env, **volume)
    assert await run_command(cluster, "sh", "-c", "echo $A; echo x > f; echo err >&2; exit 7") == (
        7,
        b"from the spec\n",
        b"err\n",
    )
    assert await run_command(cluster, "cat", "/w/f") == (0, b"x\n", b"")


@pytest.mark.engine_files
async def test_stdin_arrives_completely_and_ends(cluster: Cluster) -> None:
    await start_pod(cluster)
    content = bytes(range(256)) * 20_000
    assert await run_command(cluster, "cat", given=content, stdin=True) == (0, content, b"")
    assert await run_command(cluster, "cat") == (0, b"", b"")


async def test_unread_stdin_does_not_block(cluster: Cluster) -> None:
    await start_pod(cluster)
    code, _, _ = await run_command(cluster, "sh", "-c", "exit 4", given=bytes(1_000_000), stdin=True)
    assert code == 4


async def test_a_terminal_has_a_size_and_a_single_stream(cluster: Cluster) -> None:
    await start_pod(cluster)
    options = ExecOptions(("sh", "-c", "read go; stty size; tty >&2; exit 3"), stdin=True, stdout=True, tty=True)
    session = await cluster.kubelet.exec("default", "p", options)
    shown = bytearray()

    async def send(channel: int, data: bytes) -> None:
        assert channel == 1
        shown.extend(data)

    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        ending = group.create_task(session.run(send))
        session.resize(101, 33)
        await session.write(b"go\n")
    assert ending.result() == 3
    assert b"33 101\r\n" in shown
    assert b"/dev/" in shown


async def test_ctrl_c_on_a_terminal_interrupts_the_command(cluster: Cluster) -> None:
    await start_pod(cluster)
    options = ExecOptions(("sh", "-c", "echo ready; exec sleep 60"), stdin=True, stdout=True, tty=True)
    session = await cluster.kubelet.exec("default", "p", options)
    ready = asyncio.Event()

    async def send(_: int, data: bytes) -> None:
        if b"ready" in data:
            ready.set()

    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        ending = group.create_task(session.run(send))
        await ready.wait()
        await session.write(b"\x03")
    assert ending.result() == 130


@pytest.mark.process_only("looks for processes of this machine")
async def test_a_command_ends_with_its_container(cluster: Cluster) -> None:
    await start_pod(cluster)
    _, background, _ = await run_command(cluster, "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!")
    assert is_alive(int(background))
    session = await cluster.kubelet.exec("default", "p", ExecOptions(("sh", "-c", "echo $$; sleep 300"), stdout=True))
    numbers: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(_: int, data: bytes) -> None:
        numbers.put_nowait(data)

    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        ending = group.create_task(session.run(send))
        running = int(await numbers.get())
        cluster.registry.delete(ObjectRef(PODS, "default", "p"), grace_period=1)
        await cluster.wait_until_deleted()
    assert ending.result() == 137
    assert [pid for pid in (running, int(background)) if is_alive(pid)] == []


@pytest.mark.process_only("looks for processes of this machine")
async def test_a_disconnected_client_hangs_up_the_command(cluster: Cluster) -> None:
    await start_pod(cluster)
    script = "trap '' HUP; echo $$; while true; do sleep 1; done"
    session = await cluster.kubelet.exec("default", "p", ExecOptions(("sh", "-c", script), stdout=True))
    numbers: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(_: int, data: bytes) -> None:
        numbers.put_nowait(data)

    ending = asyncio.ensure_future(session.run(send))
    async with asyncio.timeout(LONGEST):
        pid = int(await numbers.get())
        ending.cancel()
        await asyncio.wait((ending,))
    assert not is_alive(pid)


async def test_exec_errors_name_their_cause(cluster: Cluster) -> None:
    await start_pod(cluster)
    with pytest.raises(ExecError, match="executable file not found in"):
        await run_command(cluster, "no-such-tool")
    with pytest.raises(ApiError, match="container other is not valid for pod p"):
        await run_command(cluster, "true", container="other")
    cluster.pod("true", "q")
    await cluster.wait_until_finished("q")
    with pytest.raises(ApiError, match="in a completed pod; current phase is Succeeded"):
        cluster.kubelet.exec_target("default", "q", "")


# -- over HTTP


@asynccontextmanager
async def client(server: Server, token: str) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        yield session


async def create_running_pod(session: aiohttp.ClientSession) -> None:
    container = {
        "name": "main",
        "image": TEST_IMAGE,
        "command": ["sh", "-c", "while true; do echo tick; sleep 0.1; done"],
    }
    pod = {"metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    async with session.post(_PODS, json=pod) as made:
        assert made.status == 201

    async def is_running() -> bool:
        async with session.get(f"{_PODS}/p") as response:
            return bool((await response.json())["status"]["phase"] == "Running")

    await wait_until_async(is_running)


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_websocket_channels_carry_streams_and_exit_status(tmp_path: Path, protocol: str) -> None:
    with run_cluster(tmp_path) as server:
        async with client(server, server.token) as session:
            await create_running_pod(session)
            query = [("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
            query += [("command", word) for word in ("sh", "-c", "read line; echo got $line; echo no >&2; exit 9")]
            async with session.ws_connect(f"{_PODS}/p/exec", params=query, protocols=[protocol]) as socket:
                assert socket.protocol == protocol
                await socket.send_bytes(b"\x00hello\n")
                received: dict[int, bytes] = {}
                async for message in socket:
                    received[message.data[0]] = received.get(message.data[0], b"") + message.data[1:]
                assert socket.close_code == 1000
            status = json.loads(received.pop(3))
            assert received == {1: b"got hello\n", 2: b"no\n"}
            assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
            assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "9"}]
            async with session.ws_connect(f"{_PODS}/p/attach", params={"stdout": "1"}, protocols=[protocol]) as socket:
                assert (await socket.receive_bytes()) == b"\x01"
                assert (await socket.receive_bytes()).startswith(b"\x01tick\n")


async def test_a_client_may_name_a_base64_subprotocol_or_none(tmp_path: Path) -> None:
    query = [("stdin", "1"), ("stdout", "1")]
    query += [("command", word) for word in ("sh", "-c", "read line; echo got $line; exit 9")]
    with run_cluster(tmp_path) as server:
        async with client(server, server.token) as session:
            await create_running_pod(session)
            protocols = ["unknown.example.com", "v4.base64.channel.k8s.io"]
            async with session.ws_connect(f"{_PODS}/p/exec", params=query, protocols=protocols) as socket:
                assert (await socket.receive_str()) == "1"
                await socket.send_str("0aGVsbG8K")
                assert (await socket.receive_str()) == "1Z290IGhlbGxvCg=="
                status = json.loads(base64.b64decode((await socket.receive_str())[1:]))
                assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "9"}]
            async with session.ws_connect(f"{_PODS}/p/exec", params=query) as socket:
                assert (await socket.receive_bytes()) == b"\x01"
                await socket.send_bytes(b"\x00hello\n")
                assert (await socket.receive_bytes()) == b"\x01got hello\n"
                assert (await socket.receive_bytes()) == b"\x03command terminated with exit code 9"
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{_PODS}/p/exec", params=query, protocols=["unknown.example.com"])
            assert refused.value.status == 400


async def test_text_messages_are_read_as_binary_ones(tmp_path: Path) -> None:
    with run_cluster(tmp_path) as server:
        async with client(server, server.token) as session:
            await create_running_pod(session)
            query = [("stdin", "1"), ("stdout", "1"), ("tty", "1")]
            query += [("command", word) for word in ("sh", "-c", "read line; echo got $line; stty size")]
            async with session.ws_connect(f"{_PODS}/p/exec", params=query, protocols=["v4.channel.k8s.io"]) as socket:
                await socket.send_str('\x04{"Width": 101, "Height": 33}')
                await socket.send_str("")
                await socket.send_str("\x00grüezi\n")
                shown = b"".join([message.data[1:] async for message in socket if message.data[0] == 1])
            assert "got grüezi\r\n33 101\r\n" in shown.decode()
            query = [("stdin", "1"), ("stdout", "1")]
            async with session.ws_connect(f"{_PODS}/p/attach", params=query, protocols=["v4.channel.k8s.io"]) as socket:
                assert (await socket.receive_bytes()) == b"\x01"
                await socket.send_str("\x00ignored\n")
                assert (await socket.receive_bytes()).startswith(b"\x01tick\n")


async def test_a_handshake_that_accepts_only_json_is_refused(tmp_path: Path) -> None:
    path = f"{_PODS}/p/exec?command=true&stdout=1"
    with run_cluster(tmp_path) as server:
        async with client(server, server.token) as session:
            await create_running_pod(session)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(path, headers={"Accept": "application/json"})
            assert refused.value.status == 406
            async with session.ws_connect(path, headers={"Accept": "application/json, */*"}) as socket:
                assert (await socket.receive_bytes()) == b"\x01"
            async with session.get(path, headers={"Accept": "application/json"}) as answer:
                assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")


async def test_exec_needs_create_permission_and_a_websocket(tmp_path: Path) -> None:
    with run_cluster(tmp_path, extra_tokens=f"{_READER},reader,reader\n") as server:
        async with client(server, server.token) as session:
            await create_running_pod(session)
            rules = [{"apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["get"]}]
            async with session.post(f"{_ROLES}/roles", json={"metadata": {"name": "r"}, "rules": rules}) as made:
                assert made.status == 201
            binding = {
                "metadata": {"name": "r"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                "subjects": [{"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}],
            }
            async with session.post(f"{_ROLES}/rolebindings", json=binding) as made:
                assert made.status == 201
            path = f"{_PODS}/p/exec?command=true&stdout=1"
            async with session.post(path) as answer:
                assert answer.status == 400
                assert "no SPDY" in (await answer.json())["message"]
            with pytest.raises(aiohttp.WSServerHandshakeError) as without_streams:
                await session.ws_connect(f"{_PODS}/p/exec?command=true")
            assert without_streams.value.status == 400
        async with client(server, _READER) as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(path, protocols=["v5.channel.k8s.io"])
            assert refused.value.status == 403
