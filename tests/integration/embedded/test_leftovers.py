"""A container that has ended leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embedded.api.scheme import JOBS, PODS, ObjectRef
from embedded.kubelet.runtime.process.orphans import OWNER_ENV
from tests.integration.embedded.conftest import Cluster, is_alive, run_cluster
from tests.support.waiting import LONGEST, wait_until_async

Json = dict[str, Any]
pytestmark = pytest.mark.process_only("looks for processes of this machine")
linux = pytest.mark.skipif(sys.platform != "linux", reason="what leaves its process group is found on Linux only")

# A pipe by which processes in the background say that they have printed their number; nobody waits to open it.
_PIPE = "p=$(mktemp -u); mkfifo $p; exec 3<>$p; rm $p; "
_READY = "echo ready >&3"
_BACKGROUND = "sleep 300 & echo $!"
_IGNORING = f"{_PIPE} sh -c 'trap \"\" TERM HUP; echo $$; {_READY}; while true; do sleep 1; done' & read ready <&3"
_SETSID = f"{_PIPE} setsid sh -c 'echo $$; {_READY}; exec sleep 300' & read ready <&3"
_DAEMON = (
    f'{_PIPE} (setsid sh -c \'(echo $(exec sh -c "echo \\$PPID"); {_READY}; '
    "exec sleep 300 </dev/null >/dev/null 2>&1) &') ; read ready <&3"
)
_NO_MARK = f"{_PIPE} env -i PATH=$PATH setsid sh -c 'echo $$; {_READY}; exec sleep 300' & read ready <&3"
_CHAIN = f"{_PIPE} setsid sh -c 'setsid sh -c \"echo \\$\\$; {_READY}; exec sleep 300\" & sleep 300' & read ready <&3"


@linux
@pytest.mark.parametrize(
    "script",
    [_BACKGROUND, _IGNORING, _SETSID, _DAEMON, _NO_MARK, _CHAIN],
    ids=["background", "ignores SIGTERM", "setsid", "daemon", "cleared environment", "chain of sessions"],
)
async def test_leftover_processes_end_with_their_container(cluster: Cluster, script: str) -> None:
    cluster.pod(script)
    pod = await cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Succeeded"
    pids = [int(word) for word in (await cluster.log()).split()]
    assert pids
    assert [pid for pid in pids if is_alive(pid)] == []


async def test_ignoring_sigterm_ends_in_sigkill_after_the_grace_period(cluster: Cluster) -> None:
    cluster.pod("trap '' TERM; echo $$; while true; do sleep 1; done", more={"terminationGracePeriodSeconds": 1})
    pid = int(await cluster.wait_for_output(b"\n"))
    cluster.registry.delete(ObjectRef(PODS, "default", "p"))
    await cluster.wait_until_deleted()
    assert not is_alive(pid)


async def test_a_forced_deletion_kills_at_once_and_removes_logs(cluster: Cluster) -> None:
    uid = cluster.pod("trap '' TERM; echo $$; while true; do sleep 1; done")["metadata"]["uid"]
    pid = int(await cluster.wait_for_output(b"\n"))
    cluster.registry.delete(ObjectRef(PODS, "default", "p"), grace_period=0)
    await wait_until_async(lambda: not is_alive(pid) and not (cluster.folder / "pods" / uid).exists())


async def test_stopping_the_cluster_ends_and_fails_its_pods(tmp_path: Path) -> None:
    async with run_cluster(tmp_path / "c") as cluster:
        cluster.pod("echo $$; sleep 300")
        pid = int(await cluster.wait_for_output(b"\n"))
    assert not is_alive(pid)
    async with run_cluster(tmp_path / "c") as cluster:
        status = cluster.registry.get(ObjectRef(PODS, "default", "p"))["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "NodeShutdown")
        assert disruption(status) == "TerminationByKubelet"


async def test_what_a_crash_left_of_the_volumes_of_an_ended_pod_is_removed_at_the_next_start(tmp_path: Path) -> None:
    async with run_cluster(tmp_path / "c") as cluster:
        uid = cluster.pod("echo said")["metadata"]["uid"]
        await cluster.wait_until_finished()
    secret = tmp_path / "c" / "pods" / uid / "volumes" / "secret"
    secret.mkdir(parents=True)
    (secret / "password").write_text("x")
    async with run_cluster(tmp_path / "c") as cluster:
        await wait_until_async(lambda: not secret.parent.exists())
        assert await cluster.log() == b"said\n"


_LIFE = """
import asyncio, sys
from pathlib import Path
from embedded.api.scheme import PODS
from tests.integration.embedded.conftest import run_cluster
from tests.support.waiting import wait_until_async

async def main():
    async with run_cluster(Path(sys.argv[1])) as cluster:
        cluster.job("setsid sleep 300 & echo $! $$; env -i setsid sleep 300 & sleep 300")
        pods = await wait_until_async(lambda: cluster.registry.list(PODS))
        print((await cluster.wait_for_output(b"\\n", pods[0]["metadata"]["name"])).decode(), flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


@linux
async def test_many_simultaneous_leftovers_are_all_killed(cluster: Cluster) -> None:
    for number in range(12):
        start = f"for n in 1 2 3 4 5 6; do setsid sh -c 'echo $$; {_READY}; sleep 300 & sleep 300' & done"
        cluster.pod(f"{_PIPE} {start}; for n in 1 2 3 4 5 6; do read ready <&3; done", f"p{number}")
    pids: list[int] = []
    for number in range(12):
        await cluster.wait_until_finished(f"p{number}")
        printed = [int(word) for word in (await cluster.log(f"p{number}")).split()]
        assert len(printed) == 6
        pids += printed
    assert [pid for pid in pids if is_alive(pid)] == []


@linux
async def test_after_a_crash_orphans_are_killed_and_pods_failed(tmp_path: Path, repository: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != OWNER_ENV}
    life = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _LIFE, str(tmp_path / "c")), stdout=subprocess.PIPE, cwd=repository, env=environment
    )
    assert life.stdout is not None
    async with asyncio.timeout(LONGEST):
        pids = [int(word) for word in (await life.stdout.readline()).split()]
        life.kill()
        await life.wait()
    assert len([pid for pid in pids if is_alive(pid)]) == 2
    async with run_cluster(tmp_path / "c") as cluster:
        job = await cluster.wait_for(lambda job: has_failed(job), "j", JOBS)
        assert job["status"]["failed"] == 1
        (pod,) = cluster.registry.list(PODS)
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "NodeLost")
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
        assert disruption(pod["status"]) == "DeletionByPodGC"
        await wait_until_async(lambda: not any(is_alive(pid) for pid in pids))
        assert b"\n" in await cluster.log(pod["metadata"]["name"])


def has_failed(job: Json) -> bool:
    """Whether the last condition of a Job is that it has failed."""
    return bool((job["status"].get("conditions") or [{}])[-1].get("type") == "Failed")


def disruption(status: Json) -> str:
    """Why a pod was ended through no fault of its own."""
    (condition,) = [c for c in status["conditions"] if c["type"] == "DisruptionTarget" and c["status"] == "True"]
    return str(condition["reason"])
