"""Pods behave as with a real kubelet; their containers are processes."""

from __future__ import annotations

import asyncio
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from embedded.api.scheme import JOBS, NODES, PODS, SECRETS, ObjectRef
from embedded.api.status_errors import ApiError
from tests.integration.embedded.conftest import Cluster, run_cluster, shell_container
from tests.support.waiting import wait_until_async

Json = dict[str, Any]


def main_state(pod: Json) -> Json:
    return dict(pod["status"]["containerStatuses"][0]["state"])


def until_exist(*names: str) -> str:
    """A script that ends once these files are there: other containers create them when they are ready."""
    return f"until {' && '.join(f'test -e {name}' for name in names)}; do sleep 0.02; done"


def condition(pod: Json, kind: str) -> Json:
    return next(c for c in pod["status"]["conditions"] if c["type"] == kind)


@pytest.mark.engine_files
async def test_a_pod_patched_with_a_deadline_ends_and_keeps_its_logs(cluster: Cluster) -> None:
    sidecar = shell_container("side", "trap 'echo told; exit 0' TERM; echo up; while true; do sleep 0.05; done")
    more = {"initContainers": [sidecar | {"restartPolicy": "Always"}]}
    cluster.pod("trap 'echo stopping; exit 3' TERM; echo up; while true; do sleep 0.05; done", more=more)
    for container in ("main", "side"):
        await cluster.wait_for_output(b"up", container=container)
    cluster.registry.patch(
        ObjectRef(PODS, "default", "p"), {"spec": {"activeDeadlineSeconds": 1}}, patch_type="strategic"
    )
    pod = await cluster.wait_until_finished()
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert main_state(pod)["terminated"]["exitCode"] == 3
    assert await cluster.log(container="main") == b"up\nstopping\n"
    assert await cluster.log(container="side") == b"up\ntold\n"


@pytest.mark.process_only("uses git of this machine")
async def test_git_finds_no_repository_above_the_pods(cluster: Cluster) -> None:
    await asyncio.to_thread(subprocess.run, ["git", "init", "-q", str(cluster.folder)], check=True)
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    cluster.pod("git rev-parse --show-toplevel", more={"volumes": [{"name": "w", "emptyDir": {}}]}, **volume)
    pod = await cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Failed"
    assert b"not a git repository" in await cluster.log(container="main")


async def test_the_main_end_is_reported_while_a_sidecar_runs(cluster: Cluster) -> None:
    on_term = "trap 'while ! test -e done; do sleep 0.02; done; exit 9' TERM"
    sidecar = shell_container("side", f"{on_term}; touch side; while true; do sleep 0.02; done")
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    sidecar |= {"restartPolicy": "Always", **volume}
    more = {"initContainers": [sidecar], "volumes": [{"name": "w", "emptyDir": {}}]}
    cluster.pod(until_exist("side"), more=more, **volume)
    pod = await cluster.wait_for(
        lambda pod: "terminated" in (pod["status"].get("containerStatuses") or [{"state": {}}])[0]["state"]
    )
    assert pod["status"]["phase"] == "Running"
    await cluster.run("touch", "/w/done", container="side")
    pod = await cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 9


@pytest.mark.engine_files
async def test_sidecars_end_in_the_reverse_order_of_their_start(cluster: Cluster) -> None:
    script = "trap 'echo NAME >> order; cat order; exit 0' TERM; touch NAME; while true; do sleep 0.02; done"
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    names = ("first", "second", "third")
    always = volume | {"restartPolicy": "Always"}
    inits = [shell_container(name, script.replace("NAME", name)) | always for name in names]
    more = {"initContainers": inits, "volumes": [{"name": "w", "emptyDir": {}}]}
    cluster.pod(until_exist(*names), more=more, **volume)
    await cluster.wait_until_finished()
    assert await cluster.log(container="first") == b"third\nsecond\nfirst\n"


@pytest.mark.process_only("an engine takes time of its own to kill them")
async def test_stubborn_sidecars_share_one_grace_period(cluster: Cluster) -> None:
    script = "trap '' TERM; touch NAME; while true; do sleep 0.05; done"
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    names = ("s1", "s2", "s3")
    always = volume | {"restartPolicy": "Always"}
    inits = [shell_container(name, script.replace("NAME", name)) | always for name in names]
    more = {"initContainers": inits, "volumes": [{"name": "w", "emptyDir": {}}], "terminationGracePeriodSeconds": 2}
    cluster.pod(until_exist(*names), more=more, **volume)
    pod = await cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Succeeded"
    ends = [status["state"]["terminated"] for status in pod["status"]["initContainerStatuses"]]
    assert {end["exitCode"] for end in ends} == {137}
    # One after the other, the last of them would end two grace periods after the first.
    times = [datetime.fromisoformat(end["finishedAt"]) for end in ends]
    assert max(times) - min(times) < timedelta(seconds=4)


async def test_a_sidecar_that_exits_is_restarted(cluster: Cluster) -> None:
    sidecar = shell_container("side", "echo life; test -e seen && exec sleep 60; touch seen; exit 1")
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    more = {
        "initContainers": [sidecar | volume | {"restartPolicy": "Always"}],
        "volumes": [{"name": "w", "emptyDir": {}}],
    }
    cluster.pod("sleep 60", more=more)
    pod = await cluster.wait_for(
        lambda p: (p["status"].get("initContainerStatuses") or [{}])[0].get("restartCount") == 1
    )
    assert pod["status"]["initContainerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    assert await cluster.wait_for_output(b"life", container="side") == b"life\n"
    assert await cluster.log(container="side", previous=True) == b"life\n"


async def finish_after_probe(cluster: Cluster, probe: Json) -> str:
    """The phase of a pod whose sidecar has a startup probe."""
    probe = {"periodSeconds": 1, "timeoutSeconds": 60, "failureThreshold": 100, **probe}
    service = shell_container("db", "touch ready; exec sleep 60", startupProbe=probe, restartPolicy="Always")
    service |= {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}
    cluster.pod("true", more={"initContainers": [service], "volumes": [{"name": "w", "emptyDir": {}}]})
    return str((await cluster.wait_until_finished())["status"]["phase"])


@pytest.mark.engine_files
async def test_main_containers_wait_for_the_startup_probe_of_a_sidecar(cluster: Cluster) -> None:
    assert await finish_after_probe(cluster, {"exec": {"command": ["test", "-e", "/w/ready"]}}) == "Succeeded"


@pytest.mark.process_only("the server is a process of this machine")
async def test_main_containers_wait_for_the_port_of_a_sidecar(cluster: Cluster) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await finish_after_probe(cluster, {"tcpSocket": {"port": port}}) == "Succeeded"


@pytest.mark.engine_files
async def test_deleting_a_pod_stops_its_init_container(cluster: Cluster) -> None:
    cluster.pod("true", more={"initContainers": [shell_container("fetch", "echo up; exec sleep 60")]})
    await cluster.wait_for_output(b"up", container="fetch")
    cluster.registry.delete(ObjectRef(PODS, "default", "p"))
    await cluster.wait_until_deleted()


@pytest.mark.engine_files
async def test_a_container_waits_for_its_secret(cluster: Cluster) -> None:
    variable = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}
    cluster.pod("echo $T", env=[variable])
    pod = await cluster.wait_for(lambda pod: pod["status"].get("containerStatuses"))
    assert main_state(pod) == {
        "waiting": {"reason": "CreateContainerConfigError", "message": 'secret "late" not found'}
    }
    with pytest.raises(ApiError, match="is waiting to start: CreateContainerConfigError"):
        await cluster.log()
    cluster.registry.create(SECRETS, {"metadata": {"name": "late"}, "stringData": {"k": "here"}}, namespace="default")
    assert (await cluster.wait_until_finished())["status"]["phase"] == "Succeeded"
    assert await cluster.log() == b"here\n"


@pytest.mark.process_only("the words are those of this machine")
@pytest.mark.parametrize(
    ("container", "code", "message"),
    [
        ({"command": ["no-such-tool"]}, 127, 'exec: "no-such-tool": executable file not found in $PATH ('),
        ({"command": ["/no/such/tool"]}, 127, "/no/such/tool does not exist on this machine"),
        (
            {"command": ["true"], "workingDir": "/no/such/folder"},
            128,
            "the working directory /no/such/folder does not exist",
        ),
        ({"command": ["true", "\0"]}, 128, "embedded null byte"),
    ],
)
async def test_a_failed_start_names_what_is_missing(cluster: Cluster, container: Json, code: int, message: str) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x", **container}]}
    cluster.registry.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="default")
    pod = await cluster.wait_until_finished()
    ended = main_state(pod)["terminated"]
    assert pod["status"]["phase"] == "Failed"
    assert (ended["reason"], ended["exitCode"]) == ("StartError", code)
    assert message in ended["message"]
    assert message.encode() in await cluster.log()


@pytest.mark.process_only("without an image")
async def test_a_container_without_a_command_fails_the_pod(cluster: Cluster) -> None:
    more = {"initContainers": [{"name": "db", "image": "postgres:16", "restartPolicy": "Always"}]}
    cluster.pod("echo never", more=more)
    status = (await cluster.wait_until_finished())["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ImageNotUsed")
    assert "container db can't run: it has no command" in status["message"]
    assert "containerStatuses" not in status
    assert "initContainerStatuses" not in status
    events = await cluster.wait_for_events("ImageNotUsed")
    assert [(e["type"], e["reason"]) for e in events] == [("Normal", "Scheduled"), ("Warning", "ImageNotUsed")]
    with pytest.raises(ApiError, match="is not available"):
        await cluster.log(container="main")


@pytest.mark.process_only("without an image")
async def test_arguments_without_a_command_are_run(cluster: Cluster) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x", "args": ["echo", "hi"]}]}
    cluster.registry.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="default")
    assert (await cluster.wait_until_finished())["status"]["phase"] == "Succeeded"
    assert await cluster.log() == b"hi\n"


async def test_a_cordoned_node_starts_pods_when_it_is_uncordoned(cluster: Cluster) -> None:
    def cordon(value: bool) -> None:
        node = cluster.registry.get(ObjectRef(NODES, None, "embedded"))
        changed = {**node, "spec": {**node["spec"], "unschedulable": value}}
        cluster.registry.update(ObjectRef(NODES, None, "embedded"), changed)

    await cluster.wait_for_node()
    cordon(True)
    cluster.pod("true")
    waiting = await cluster.wait_for(lambda pod: pod["status"].get("conditions"))
    assert "1 node(s) were unschedulable. " in condition(waiting, "PodScheduled")["message"]
    cordon(False)
    assert (await cluster.wait_until_finished())["status"]["phase"] == "Succeeded"


@pytest.mark.parametrize("overwritten", [{}, {"phase": "Pending"}, {"phase": "Succeeded"}])
async def test_an_overwritten_status_is_restored(cluster: Cluster, overwritten: Json) -> None:
    cluster.pod("sleep 60")
    before = (await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running"))["status"]
    ref = ObjectRef(PODS, "default", "p")
    cluster.registry.update(ref, {"metadata": {}, "status": overwritten}, subresource="status")
    after = await cluster.wait_for(lambda pod: pod["status"].get("phase") == "Running")
    assert after["status"]["containerStatuses"] == before["containerStatuses"]


async def test_the_overwritten_status_of_an_ended_pod_is_restored(cluster: Cluster) -> None:
    cluster.pod("true")
    before = (await cluster.wait_until_finished())["status"]
    ref = ObjectRef(PODS, "default", "p")
    cluster.registry.update(ref, {"metadata": {}, "status": {"phase": "Pending"}}, subresource="status")
    after = await cluster.wait_for(lambda pod: pod["status"].get("phase") == "Succeeded")
    assert after["status"] == before


async def test_conditions_of_another_component_stay(cluster: Cluster) -> None:
    cluster.pod("sleep 60")
    await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running")
    conditions = [{"type": "example.com/gate", "status": "True"}, {"type": "Ready", "status": "False"}]
    status = {"phase": "Pending", "conditions": conditions}
    cluster.registry.update(ObjectRef(PODS, "default", "p"), {"metadata": {}, "status": status}, subresource="status")
    restored = await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running")
    assert condition(restored, "example.com/gate")["status"] == "True"
    assert condition(restored, "Ready")["status"] == "True"


@pytest.mark.process_only("an engine does not keep the order of stdout and stderr")
@pytest.mark.engine_files
async def test_output_is_stored_byte_for_byte(cluster: Cluster) -> None:
    cluster.pod("head -c 10000000 /dev/zero; printf 'out\\n'; printf 'err\\n' >&2; printf '\\377\\r no newline'")
    await cluster.wait_until_finished()
    assert await cluster.log() == bytes(10_000_000) + b"out\nerr\n\xff\r no newline"
    assert await cluster.log(tail_lines=2) == b"err\n\xff\r no newline"
    assert await cluster.log(limit_bytes=7) == bytes(7)


async def test_a_flood_of_output_does_not_delay_other_pods(cluster: Cluster) -> None:
    async def seconds(name: str) -> float:
        began = time.monotonic()
        cluster.pod("true", name)
        await cluster.wait_until_finished(name)
        return time.monotonic() - began

    alone = [await seconds(f"alone-{number}") for number in range(3)]
    cluster.pod("exec yes", "flood")
    await cluster.wait_for_output(b"y", "flood")
    beside = [await seconds(f"beside-{number}") for number in range(5)]
    # The best of some against the worst of others a moment before: how busy the machine is does not count.
    assert min(beside) < 2 + 5 * max(alone)
    cluster.registry.delete(ObjectRef(PODS, "default", "flood"), grace_period=1)
    await cluster.wait_until_deleted("flood")


async def test_the_end_of_one_of_two_containers_is_reported(cluster: Cluster) -> None:
    cluster.pod(
        "exit 5", more={"containers": [shell_container("main", "exit 5"), shell_container("slow", "exec sleep 60")]}
    )
    pod = await cluster.wait_for(lambda p: p["status"].get("containerStatuses") and "terminated" in main_state(p))
    assert pod["status"]["phase"] == "Running"
    assert condition(pod, "Ready")["message"] == "containers with unready status: [main]"
    cluster.registry.delete(ObjectRef(PODS, "default", "p"), grace_period=1)
    await cluster.wait_until_deleted()


async def test_pods_beyond_the_limit_wait_in_order(tmp_path: Path) -> None:
    async with run_cluster(tmp_path / "c", max_pods=1) as cluster:
        cluster.pod("exec sleep 60", "a")
        await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running", "a")
        for name in ("c", "b"):
            cluster.pod("true", name)
        waiting = await cluster.wait_for(lambda pod: pod["status"].get("conditions"), "b")
        assert condition(waiting, "PodScheduled")["reason"] == "Unschedulable"
        assert "1 Too many pods." in condition(waiting, "PodScheduled")["message"]
        cluster.registry.delete(ObjectRef(PODS, "default", "a"), grace_period=1)
        last = await cluster.wait_until_finished("b")
        first = cluster.registry.get(ObjectRef(PODS, "default", "c"))
        assert first["status"]["phase"] == "Succeeded"
        assert int(first["metadata"]["resourceVersion"]) < int(last["metadata"]["resourceVersion"])


@pytest.mark.engine_files
async def test_the_termination_message_is_reported(cluster: Cluster) -> None:
    volume: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "terminationMessagePath": "/w/message"}
    cluster.pod(
        "printf 'it broke' > message; exit 1",
        more={"volumes": [{"name": "w", "emptyDir": {}}]},
        workingDir="/w",
        **volume,
    )
    assert main_state(await cluster.wait_until_finished())["terminated"]["message"] == "it broke"
    cluster.pod("printf default > /dev/termination-log", "r")
    assert main_state(await cluster.wait_until_finished("r"))["terminated"]["message"] == "default"
    cluster.pod("echo one; echo two; exit 1", "q", terminationMessagePolicy="FallbackToLogsOnError")
    assert main_state(await cluster.wait_until_finished("q"))["terminated"]["message"] == "one\ntwo\n"


async def test_deleting_a_job_removes_its_pods_and_their_folders(cluster: Cluster) -> None:
    cluster.job("echo up; exec sleep 60")
    job = await cluster.wait_for(lambda job: job["status"].get("ready") == 1, "j", JOBS)
    (pod,) = cluster.registry.list(PODS)
    assert pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    cluster.registry.delete(ObjectRef(JOBS, "default", "j"), propagation="Foreground")
    await cluster.wait_until_deleted("j", JOBS)
    assert cluster.registry.list(PODS) == []
    await wait_until_async(lambda: not (cluster.folder / "pods" / pod["metadata"]["uid"]).exists())


async def test_orphaned_pods_outlive_their_job(cluster: Cluster) -> None:
    cluster.job("exec sleep 60")
    await cluster.wait_for(lambda job: job["status"].get("ready") == 1, "j", JOBS)
    cluster.registry.delete(ObjectRef(JOBS, "default", "j"), propagation="Orphan")
    await cluster.wait_until_deleted("j", JOBS)
    (pod,) = cluster.registry.list(PODS)
    assert "ownerReferences" not in pod["metadata"]
    assert pod["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    ("volume", "kind"),
    [
        ({"hostPath": {"path": "/etc"}}, "hostPath"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}, "serviceAccountToken"),
    ],
)
async def test_an_unsupported_volume_fails_the_pod(cluster: Cluster, volume: Json, kind: str) -> None:
    cluster.pod("echo never", more={"volumes": [{"name": "v", **volume}]})
    status = (await cluster.wait_until_finished())["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NotSupported")
    assert f"volume v of kind {kind} is not supported here" in status["message"]


async def test_an_unschedulable_pod_does_not_block_others(tmp_path: Path) -> None:
    async with run_cluster(tmp_path / "c", max_pods=1) as cluster:
        cluster.pod("true", "big", resources={"requests": {"cpu": "100000"}})
        cluster.pod("true", "elsewhere", more={"nodeSelector": {"planet": "mars"}})
        cluster.pod("true", "small")
        await cluster.wait_until_finished("small")
        big = await cluster.wait_for(lambda pod: pod["status"].get("conditions"), "big")
        assert (condition(big, "PodScheduled")["reason"], big["status"]["phase"]) == ("Unschedulable", "Pending")
        assert "1 Insufficient cpu" in condition(big, "PodScheduled")["message"]
        assert "nodeName" not in big["spec"]
        cluster.registry.delete(ObjectRef(PODS, "default", "big"))
        await cluster.wait_until_deleted("big")
        events = await cluster.wait_for_events("FailedScheduling", "Started")
        assert {(e["reason"], e["involvedObject"]["name"], e["count"]) for e in events if e["type"] == "Warning"} == {
            ("FailedScheduling", "big", 1),
            ("FailedScheduling", "elsewhere", 1),
        }
