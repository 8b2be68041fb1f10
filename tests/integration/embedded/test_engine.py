"""Containers in an engine: images, networks, users, limits, files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from embedded.api.scheme import EVENTS, PODS, ObjectRef
from embedded.kubelet.runtime.choice import engine_runtime, process_runtime
from embedded.kubelet.runtime.engine.connection import detect
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from embedded.kubelet.runtime.engine.engine import Engine, list_labelled, list_volumes
from embedded.kubelet.runtime.engine.errors import EngineError
from embedded.kubelet.runtime.engine.identity import CLUSTER_LABEL, cluster_id, cluster_labels
from embedded.kubelet.runtime.engine.pause.image import root_file_system
from tests.integration.embedded.conftest import HOST_COMMAND, Cluster, run_engine_cluster, shell_container
from tests.support.engine import TEST_IMAGE, shared_files
from tests.support.waiting import wait_until_async

Json = dict[str, Any]
VOLUME: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
_PATIENT: Json = {"periodSeconds": 1, "timeoutSeconds": 60, "failureThreshold": 100}
"""Of a probe: a busy machine may need more than the usual second."""
WITH_VOLUME: Json = {"volumes": [{"name": "w", "emptyDir": {}}]}


def is_podman(found: FoundEngine) -> bool:
    return found.info.name == "podman"


def main_status(pod: Json) -> Json:
    return dict(pod["status"]["containerStatuses"][0])


def create(cluster: Cluster, *containers: Json, inits: list[Json] | None = None, **spec: Any) -> None:
    pod: Json = {"restartPolicy": "Never", "containers": list(containers), **cluster.pod_defaults, **spec}
    if inits:
        pod["initContainers"] = inits
    cluster.registry.create(PODS, {"metadata": {"name": "p"}, "spec": pod}, namespace="default")


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ({}, "entry: default"),
        ({"args": ["a", "$(FROM_SPEC)"]}, "entry: a spec"),
        ({"command": ["echo", "b"]}, "b"),
        ({"command": ["echo"], "args": ["c", "$$(FROM_SPEC)"]}, "c $(FROM_SPEC)"),
    ],
)
async def test_command_and_arguments_replace_those_of_the_image(
    engine_cluster: Cluster, words: Json, output: str
) -> None:
    env = [{"name": "FROM_SPEC", "value": "spec"}]
    create(engine_cluster, {"name": "main", "image": TEST_IMAGE, "env": env, **words})
    pod = await engine_cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Succeeded"
    assert await engine_cluster.log() == f"{output}\n".encode()
    assert "sha256:" in main_status(pod)["imageID"]
    assert main_status(pod)["containerID"].split("://")[0] in ("docker", "podman")


async def test_variables_and_folder_come_from_the_image_unless_the_spec_has_them(engine_cluster: Cluster) -> None:
    engine_cluster.pod("echo $FROM_IMAGE $HOSTNAME; pwd; hostname", env=[{"name": "OTHER", "value": "x"}])
    await engine_cluster.wait_until_finished()
    assert await engine_cluster.log() == b"yes p\n/home\np\n"


@pytest.mark.engine_files
async def test_containers_of_a_pod_share_a_network_and_nothing_else(engine_cluster: Cluster) -> None:
    server = shell_container("db", "trap 'exit 0' TERM; (while true; do echo hi | nc -l -p 7777; done) & wait")
    server |= {"restartPolicy": "Always", "startupProbe": _PATIENT | {"tcpSocket": {"port": 7777}}}
    # Between two connections, nobody listens.
    ask = "greeting=$(nc 127.0.0.1 7777 </dev/null 2>/dev/null) && test $greeting"
    ask = f"until {ask}; do sleep 0.05; done; echo $greeting"
    main = shell_container("main", f"{ask}; hostname; ls /proc | grep -c '^[0-9]'")
    create(engine_cluster, main, inits=[server])
    pod = await engine_cluster.wait_until_finished()
    greeting, host, processes = (await engine_cluster.log(container="main")).split()
    assert (greeting, host) == (b"hi", b"p")
    # Its own only: the server's processes are in another namespace.
    assert int(processes) <= 5
    assert pod["status"]["podIP"] not in ("", "127.0.0.1")


async def test_a_pod_knows_its_address_before_it_starts(engine_cluster: Cluster) -> None:
    field = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    engine_cluster.pod("echo $IP", env=[field])
    pod = await engine_cluster.wait_until_finished()
    assert await engine_cluster.log() == f"{pod['status']['podIP']}\n".encode()


async def test_a_container_over_its_memory_limit_is_reported(engine_cluster: Cluster, engine: FoundEngine) -> None:
    if not (await asyncio.to_thread(detect.read_facts, engine.address)).enforces_limits:
        pytest.skip("the engine has no cgroups for limits")
    limits = {"limits": {"memory": "32Mi"}}
    engine_cluster.pod("echo start; exec tail /dev/zero", resources=limits)
    state = main_status(await engine_cluster.wait_until_finished())["state"]["terminated"]
    # Podman does not notice it with every version of control groups.
    assert (state["exitCode"], state["reason"]) in ((137, "OOMKilled"), (137, "Error" if is_podman(engine) else ""))


@pytest.mark.engine_files
async def test_probes_reach_the_ports_of_a_pod(engine_cluster: Cluster) -> None:
    script = "mkdir /tmp/w; echo ok > /tmp/w/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /tmp/w & wait"
    ports = [{"name": "web", "containerPort": 8080}]
    web = shell_container("web", script, ports=ports, startupProbe=_PATIENT | {"httpGet": {"port": "web"}})
    missing = {"httpGet": {"port": "web", "path": "/none"}, "periodSeconds": 1}
    refused = {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 100}
    create(engine_cluster, web | {"readinessProbe": missing, "livenessProbe": refused})
    started = await engine_cluster.wait_for(lambda pod: has_status(pod) and main_status(pod).get("started"))
    address = started["status"]["podIP"]

    def words() -> set[str]:
        events = engine_cluster.registry.list(EVENTS, "default")
        return {event["message"] for event in events if event["reason"] == "Unhealthy"}

    wanted = {
        "Readiness probe failed: HTTP probe failed with statuscode: 404",
        f"Liveness probe failed: dial tcp {address}:81: connect: connection refused",
    }
    await wait_until_async(lambda: wanted <= words())
    engine_cluster.registry.delete(ObjectRef(PODS, "default", "p"), grace_period=0)
    await engine_cluster.wait_until_deleted()


@pytest.mark.parametrize(
    ("security", "script", "output"),
    [
        ({"runAsUser": 1234}, "id -u; id -g", "1234 1234"),
        ({"runAsUser": 1234, "runAsGroup": 99}, "id -u; id -g", "1234 99"),
        ({"readOnlyRootFilesystem": True}, "touch /x 2>/dev/null || echo refused", "refused"),
        ({"capabilities": {"drop": ["ALL"]}}, "grep CapEff /proc/self/status", "CapEff: 0000000000000000"),
        ({"allowPrivilegeEscalation": False}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs: 1"),
    ],
    ids=["user", "group", "read-only", "capabilities", "escalation"],
)
@pytest.mark.engine_files
async def test_security_contexts_are_enforced(
    engine_cluster: Cluster, security: Json, script: str, output: str
) -> None:
    engine_cluster.pod(script, securityContext=security)
    await engine_cluster.wait_until_finished()
    assert (await engine_cluster.log()).decode().split() == output.split()


async def test_an_image_that_runs_as_root_is_refused_where_it_must_not(engine_cluster: Cluster) -> None:
    engine_cluster.pod("true", securityContext={"runAsNonRoot": True})
    pod = await engine_cluster.wait_for(lambda pod: "waiting" in (main_status(pod)["state"] if has_status(pod) else {}))
    waiting = main_status(pod)["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert waiting["message"] == "container has runAsNonRoot and image will run as root"


def has_status(pod: Json) -> bool:
    return bool(pod["status"].get("containerStatuses"))


@pytest.mark.engine_files
async def test_any_user_may_write_to_volumes_and_nothing_is_left(engine_cluster: Cluster) -> None:
    first = shell_container("first", "mkdir d; touch d/file; chmod 700 d; id -u") | VOLUME
    second = shell_container("main", "touch mine; ls") | VOLUME | {"securityContext": {"runAsUser": 1234}}
    create(engine_cluster, second, inits=[first], **WITH_VOLUME)
    pod = await engine_cluster.wait_until_finished()
    assert await engine_cluster.log(container="main") == b"d\nmine\n"
    folder = engine_cluster.folder / "pods" / pod["metadata"]["uid"]
    await wait_until_async(lambda: not (folder / "volumes").exists())


@shared_files
async def test_processes_of_the_machine_share_volumes_with_containers(engine_cluster: Cluster) -> None:
    script = "echo from the machine > /w/note; echo $ON_THE_MACHINE; uname -n"
    process: Json = {
        "name": "fetch",
        "image": "none",
        "command": [*HOST_COMMAND, "sh", "-c", script.replace("/w", ".")],
    }
    main = shell_container("main", "cat note") | VOLUME
    create(engine_cluster, main, inits=[process | VOLUME], **WITH_VOLUME)
    await engine_cluster.wait_until_finished()
    assert await engine_cluster.log(container="main") == b"from the machine\n"
    assert (await engine_cluster.log(container="fetch")).startswith(b"1\n")


@pytest.mark.engine_files
async def test_a_termination_message_is_read_but_no_file_of_the_machine(engine_cluster: Cluster) -> None:
    secret = engine_cluster.folder / "secret"
    secret.write_text("of the machine")
    engine_cluster.pod("echo why > /dev/termination-log; exit 3")
    state = main_status(await engine_cluster.wait_until_finished())["state"]["terminated"]
    assert (state["exitCode"], state["message"]) == (3, "why\n")
    script = f"ln -s {secret} message; exit 4"
    engine_cluster.pod(script, "q", more=WITH_VOLUME, terminationMessagePath="/w/message", **VOLUME)
    state = main_status(await engine_cluster.wait_until_finished("q"))["state"]["terminated"]
    assert state.get("message", "") == ""


@pytest.mark.parametrize(
    ("command", "message"), [(["no-such-tool"], "executable file not found"), (["/etc/passwd/x"], "not a directory")]
)
async def test_a_command_that_is_not_in_the_image_fails_the_container(
    engine_cluster: Cluster, command: list[str], message: str
) -> None:
    create(engine_cluster, {"name": "main", "image": TEST_IMAGE, "command": command})
    state = main_status(await engine_cluster.wait_until_finished())["state"]["terminated"]
    assert state["reason"] == "StartError"
    assert state["exitCode"] in (127, 128)
    assert message in state["message"]


async def test_after_a_crash_containers_are_removed_and_pods_failed(
    tmp_path: Any, engine: FoundEngine, engine_cluster: Cluster
) -> None:
    folder = tmp_path / "crashed"
    folder.mkdir()
    label = {CLUSTER_LABEL: cluster_id(folder.resolve())}
    body = {"Image": TEST_IMAGE, "Entrypoint": ["sleep", "600"], "Labels": label, "HostConfig": {"NetworkMode": "none"}}
    engine_cluster.pod("echo up; exec sleep 600")
    await engine_cluster.wait_for_output(b"up")
    async with EngineClient(engine.address) as client:
        left = (await client.post("/containers/create", body))["Id"]
        await client.post(f"/containers/{left}/start")
        async with run_engine_cluster(folder, engine) as other:
            await other.wait_for_node()
            assert await list_labelled(client, f"{CLUSTER_LABEL}={cluster_id(folder.resolve())}") == []
        # That of another cluster is untouched.
        own = cluster_id(engine_cluster.folder.resolve())
        assert {each["State"] for each in await list_labelled(client, f"{CLUSTER_LABEL}={own}")} == {"running"}
    engine_cluster.registry.delete(ObjectRef(PODS, "default", "p"), grace_period=0)
    await engine_cluster.wait_until_deleted()


async def test_a_container_of_somebody_else_with_the_same_name_stays(
    engine_cluster: Cluster, engine: FoundEngine
) -> None:
    own = Engine(EngineClient(engine.address), engine_cluster.folder.resolve(), ())
    body = {"Image": TEST_IMAGE, "Entrypoint": ["true"], "HostConfig": {"NetworkMode": "none"}}
    name = f"c8s-test-{cluster_id(engine_cluster.folder.resolve())}"
    async with own.client as client:
        foreign = (await client.post(f"/containers/create?name={name}", body))["Id"]
        try:
            with pytest.raises(EngineError):
                await own.create(name, body)
            assert (await client.get(f"/containers/{foreign}/json"))["Id"] == foreign
        finally:
            await client.delete(f"/containers/{foreign}", force="1")
        labelled = body | {"Labels": dict(cluster_labels(engine_cluster.folder.resolve()))}
        first = await own.create(name, labelled)
        assert await own.create(name, labelled) != first
        await own.remove_all()


@pytest.mark.engine_files
async def test_twenty_pods_at_once_succeed(engine_cluster: Cluster) -> None:
    for number in range(20):
        engine_cluster.pod(f"echo {number}", f"p{number}")
    ended = await asyncio.gather(*(engine_cluster.wait_until_finished(f"p{number}") for number in range(20)))
    assert {pod["status"]["phase"] for pod in ended} == {"Succeeded"}


async def test_the_node_says_that_images_are_used(engine_cluster: Cluster) -> None:
    from embedded.api.scheme import NODES
    from embedded.kubelet.node import NODE_NAME

    await engine_cluster.wait_for_node()
    node = engine_cluster.registry.get(ObjectRef(NODES, None, NODE_NAME))
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith(("docker://", "podman://"))
    assert "images are not used" not in json.dumps(node["status"])


def test_whether_an_engine_sees_a_folder_is_found_out_once(
    engine: FoundEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[Path] = []
    check = detect._check_files

    def counted(request: detect.EngineRequests, image: str, data_dir: Path) -> None:
        checks.append(data_dir)
        check(request, image, data_dir)

    monkeypatch.setattr(detect, "_check_files", counted)
    first = detect.prepare_engine(engine.address, tmp_path)
    assert detect.prepare_engine(engine.address, tmp_path) == first
    assert len(checks) == 1
    # A copy of the folder elsewhere is another one, and so is the same after the machine was started again.
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "engine-checked").write_bytes((tmp_path / "engine-checked").read_bytes())
    detect.prepare_engine(engine.address, copy)
    monkeypatch.setattr(detect, "_boot_id", lambda: "another")
    detect.prepare_engine(engine.address, tmp_path)
    assert checks == [tmp_path, copy, tmp_path]


async def test_what_an_engine_with_files_of_its_own_needs_and_leaves(tmp_path: Path, engine: FoundEngine) -> None:
    label = f"{CLUSTER_LABEL}={cluster_id(tmp_path.resolve())}"

    async def volumes() -> list[str]:
        async with EngineClient(engine.address) as client:
            return await list_volumes(client, label)

    async with run_engine_cluster(tmp_path, engine, "engine") as cluster:
        part = {"volumeMounts": [{"name": "w", "mountPath": "/w", "subPath": "part"}]}
        create(cluster, shell_container("main", "true", **part), **WITH_VOLUME)
        refused = await cluster.wait_for_events("Failed")
        assert any("subPath of the emptyDir w can't be used" in event["message"] for event in refused)
        pod = cluster.registry.find(ObjectRef(PODS, "default", "p"))
        assert pod is not None
        assert [name.split("_")[1] for name in await volumes()] == [pod["metadata"]["uid"]]
        # Nothing that the containers have written is on this machine.
        cluster.pod("echo x > /w/made; sleep 600", "q", more=WITH_VOLUME, **VOLUME)
        await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running", "q")
        assert list(tmp_path.rglob("made")) == []
    assert await volumes() == []


async def test_an_image_that_is_held_can_not_be_removed_until_the_cluster_ends(
    tmp_path: Path, engine: FoundEngine
) -> None:
    label = f"{CLUSTER_LABEL}={cluster_id(tmp_path.resolve())}"
    image = f"c8s-test-held:{tmp_path.name}"
    async with EngineClient(engine.address) as client:
        await client.request("POST", "/images/create", {"fromSrc": "-", "repo": image}, root_file_system(b"held"))
        processes = process_runtime(tmp_path, "none")
        runtime = engine_runtime(engine.address, tmp_path, processes, [], held_images=[image])
        await runtime.open()
        try:
            # What an earlier cluster has left goes, but not what this one has.
            assert await runtime.kill_leftovers([]) == 0
            assert len(await list_labelled(client, label)) == 1
            with pytest.raises(EngineError) as refused:
                await client.request("DELETE", f"/images/{image}", {})
            assert refused.value.status == 409
        finally:
            await runtime.close()
        assert await list_labelled(client, label) == []
        await client.request("DELETE", f"/images/{image}", {})
