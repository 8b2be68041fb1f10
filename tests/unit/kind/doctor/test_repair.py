"""Repairs touch what is of c8s alone, and leave to the user what needs root or may be of another user."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kind.cluster_record import ClusterRecord
from kind.doctor.host import HostInfo
from kind.doctor.repair import Repair, RepairFinder
from kind.tools.kind_cli import Ports
from tests.unit.kind.cluster.test_bootstrap import container
from tests.unit.kind.conftest import Programs

RECORD = ClusterRecord("c8s", Ports(18080, 18900), "image", container="abc")
INSPECT = "docker container inspect --format {{json .}} "
HEALTHY = HostInfo(inotify_instances=512, inotify_watches=524288)
MISSING = (1, "Error: No such container: x")


def finder(programs: Programs, *, is_root: bool = False, taken: tuple[int, ...] = ()) -> RepairFinder:
    programs.answers = {"kind get clusters": (0, ""), **programs.answers}
    return RepairFinder(programs, own_command=("c8s-program",), is_root=is_root, is_free=lambda port: port not in taken)


def shown(repairs: list[Repair]) -> list[tuple[str, str, bool]]:
    return [(each.check, each.line, bool(each.command)) for each in repairs]


@pytest.mark.parametrize(
    ("is_root", "expected"),
    [
        (True, "sysctl -w fs.inotify.max_user_instances=512"),
        (False, "sudo sysctl -w fs.inotify.max_user_instances=512"),
    ],
)
async def test_limits_of_inotify_are_raised_by_root_only(programs: Programs, is_root: bool, expected: str) -> None:
    low = replace(HEALTHY, inotify_instances=128)
    assert shown(await finder(programs, is_root=is_root).find([], low)) == [("inotify", expected, is_root)]
    assert await finder(programs, is_root=is_root).find([], HEALTHY) == []
    assert await finder(programs, is_root=is_root).find([], HostInfo()) == []


async def test_stopped_node_is_started(programs: Programs) -> None:
    programs.answers = {INSPECT: (0, container(running=False))}
    assert shown(await finder(programs).find([RECORD], HEALTHY)) == [("node", "docker start c8s-control-plane", True)]
    programs.answers = {INSPECT: (0, container())}
    assert await finder(programs).find([RECORD], HEALTHY) == []


async def test_node_whose_port_is_taken_is_left_to_the_user(programs: Programs) -> None:
    programs.answers = {INSPECT: (0, container(running=False))}
    (found,) = await finder(programs, taken=(18080,)).find([RECORD], HEALTHY)
    assert not found.command
    assert "another program listens on its port 18080" in found.problem


async def test_cluster_of_somebody_else_is_not_touched(programs: Programs) -> None:
    programs.answers = {INSPECT: (0, container(running=False, identity="theirs")), "kind get clusters": (0, "c8s")}
    assert await finder(programs).find([RECORD], HEALTHY) == []


async def test_interrupted_creation_is_removed(programs: Programs) -> None:
    programs.answers = {INSPECT: (0, container())}
    found = await finder(programs).find([replace(RECORD, container="")], HEALTHY)
    assert shown(found) == [("cluster", "kind delete cluster --name c8s", True)]


async def test_record_without_a_cluster_is_removed_by_the_command_itself(programs: Programs) -> None:
    programs.answers = {INSPECT: MISSING}
    (found,) = await finder(programs).find([RECORD], HEALTHY)
    assert (found.line, found.command) == (
        "c8s down --name c8s --delete",
        ("c8s-program", "down", "--name", "c8s", "--delete"),
    )
    assert "18080 and 18900" in found.problem


async def test_forgotten_cluster_of_ours_is_named_and_left(programs: Programs) -> None:
    ours = json.loads(container(identity="other"))
    ours["Config"]["Labels"]["dev.c8s.role"] = "node-image"
    programs.answers = {
        "kind get clusters": (0, "c8s\nold\ntheirs"),
        f"{INSPECT}c8s-control-plane": (0, container()),
        f"{INSPECT}old-control-plane": (0, json.dumps(ours)),
        f"{INSPECT}theirs-control-plane": (0, container(identity="third")),
    }
    assert shown(await finder(programs).find([RECORD], HEALTHY)) == [
        ("cluster", "kind delete cluster --name old", False)
    ]


async def test_engine_that_does_not_respond_leaves_everything_alone(programs: Programs) -> None:
    programs.answers = {INSPECT: (1, "Cannot connect to the Docker daemon"), "kind get clusters": (1, "no")}
    assert await finder(programs).find([RECORD], HEALTHY) == []


async def test_failed_repair_says_why(programs: Programs) -> None:
    programs.answers = {"docker start a": (1, "address already in use"), "docker start b": (0, "b")}
    made = finder(programs)
    assert "address already in use" in (await made.apply(Repair.by("node", "stopped", "docker", "start", "a")) or "")
    assert await made.apply(Repair.by("node", "stopped", "docker", "start", "b")) is None
