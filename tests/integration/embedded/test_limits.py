"""Limits are enforced by cgroups where one is delegated, and the Node reports whether they are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from embedded.api.interfaces import ExecOptions
from embedded.api.scheme import NODES
from embedded.kubelet.runtime.process import cgroups
from tests.integration.embedded.conftest import Cluster, run_cluster

pytestmark = pytest.mark.process_only("about cgroups of this machine")

Json = dict[str, Any]


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster that limits its pods below its own cgroup, where this machine lets it."""
    async with run_cluster(tmp_path / "limited", cgroup_mode="own") as cluster:
        condition = await enforced(cluster)
        if condition["status"] != "True":
            pytest.skip(condition["message"])
        yield cluster


async def enforced(cluster: Cluster) -> Json:
    """The condition LimitsEnforced of the Node."""
    node = await cluster.wait_for(lambda node: node.get("status"), "embedded", NODES)
    (condition,) = [c for c in node["status"]["conditions"] if c["type"] == "LimitsEnforced"]
    return dict(condition)


def terminated(pod: Json) -> Json:
    return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])


_GREEDY = "x=x; while true; do x=$x$x; done"


async def test_exceeding_the_memory_limit_is_oom_killed(limited: Cluster) -> None:
    limited.pod(_GREEDY, resources={"limits": {"memory": "32Mi"}})
    ended = terminated(await limited.wait_until_finished())
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


async def test_an_oom_killed_child_is_reported(limited: Cluster) -> None:
    limited.pod(f"sh -c '{_GREEDY}'; exit 3", resources={"limits": {"memory": "32Mi"}})
    assert terminated(await limited.wait_until_finished())["reason"] == "OOMKilled"


async def test_a_limited_container_runs_and_its_cgroup_is_removed(limited: Cluster) -> None:
    limits = {"limits": {"memory": "64Mi", "cpu": "500m"}}
    limited.pod("cat /proc/self/cgroup; sleep 60 & setsid sleep 60 & sleep 0.3; exit 4", resources=limits)
    pod = await limited.wait_until_finished()
    assert (terminated(pod)["reason"], terminated(pod)["exitCode"]) == ("Error", 4)
    name = f"c8s-{os.getpid()}/{pod['metadata']['uid']}-main"
    assert name.encode() in await limited.log()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{name}"))


async def test_exec_commands_share_the_limits_of_the_container(limited: Cluster) -> None:
    limited.pod("echo up; exec sleep 60", resources={"limits": {"memory": "32Mi"}})
    await limited.wait_for_output(b"up")

    async def send(_: int, __: bytes) -> None:
        pass

    session = await limited.kubelet.exec("default", "p", ExecOptions(("sh", "-c", _GREEDY), stdout=True))
    assert await session.run(send) == 137


async def test_without_cgroups_the_node_reports_unenforced_limits(tmp_path: Path) -> None:
    async with run_cluster(tmp_path / "c", cgroup_mode="none") as cluster:
        cluster.pod("true", resources={"limits": {"memory": "1Ki"}})
        assert (await cluster.wait_until_finished())["status"]["phase"] == "Succeeded"
        condition = await enforced(cluster)
        assert condition["status"] == "False"
        assert "have no effect" in condition["message"]


def test_a_cgroup_that_is_not_delegated_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cgroup").write_text("4:memory:/machine\n3:cpu,cpuacct:/\n0::/\n")
    (tmp_path / "system" / "memory" / "machine").mkdir(parents=True)
    (tmp_path / "system" / "cpu").mkdir()
    where = {"proc": tmp_path / "proc", "system": tmp_path / "system"}
    if os.getuid() == 0:
        assert "is not delegated" in cgroups.detect("auto", **where).reason
    assert not cgroups.detect("none", **where).enforced
    own = cgroups.detect("own", **where)
    assert own.enforced
    assert (tmp_path / "system" / "memory" / "machine" / f"c8s-{os.getpid()}").is_dir()
    own.close()
    assert not list((tmp_path / "system").glob("**/c8s-*"))


@pytest.mark.parametrize(
    ("limits", "memory", "cpu"),
    [
        ({}, None, None),
        ({"memory": "64Mi"}, 64 << 20, None),
        ({"cpu": "1500m"}, None, 150_000),
        ({"cpu": "1m"}, None, 1000),
    ],
)
def test_limits_are_parsed_as_quantities(limits: Json, memory: int | None, cpu: int | None) -> None:
    found = cgroups.Limits.of({"resources": {"limits": limits}})
    assert (found.memory, found.cpu) == (memory, cpu)
