"""The doctor's judgement: each trouble is found, explained and answered with something to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kind.doctor.checks import check_host
from kind.doctor.engine_checks import check_engine
from kind.doctor.finding import GIB, Finding
from kind.doctor.host import HostInfo, parse_routes, pids_limit
from kind.tools.engine_info import EngineInfo

NOW = 1_795_421_477.0
ENGINE = EngineInfo(
    server_version="28.1.0",
    client_version="28.1.0",
    operating_system="Linux",
    architecture="x86_64",
    cpus=4,
    memory=8 * GIB,
    cgroup_version="2",
    storage_driver="overlay2",
    root="/var/lib/docker",
    security_options=(),
    proxies={},
    warnings=(),
    containerd_store=False,
    system_time="2026-11-23T08:11:17.899035531Z",
)
HOST = HostInfo(
    50 * GIB, 512, 524288, {18080: True, 18900: True}, (("192.168.1.0/24", "eth0"),), {}, "/usr/bin/kubectl"
)


def problems(found: list[Finding]) -> dict[str, str]:
    return {each.check: each.level for each in found if each.level != "ok"}


def test_suitable_host_has_no_findings() -> None:
    assert problems(check_engine(ENGINE, HOST, NOW) + check_host(HOST)) == {}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (replace(ENGINE, server_version=""), {"docker": "error"}),
        (replace(ENGINE, server_version="19.03.15"), {"docker": "error"}),
        (replace(ENGINE, server_version="20.10.24+dfsg1"), {}),
        (replace(ENGINE, memory=GIB), {"memory": "error"}),
        (replace(ENGINE, memory=3 * GIB), {"memory": "warning"}),
        (replace(ENGINE, cgroup_version="1"), {"cgroups": "warning"}),
        (replace(ENGINE, cgroup_version="1", security_options=("name=rootless",)), {"cgroups": "error"}),
        (replace(ENGINE, system_time="2026-11-23T07:11:17Z"), {"clock": "warning"}),
    ],
)
def test_problems_of_the_engine_are_found(info: EngineInfo, expected: dict[str, str]) -> None:
    assert problems(check_engine(info, HOST, NOW)) == expected


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (replace(HOST, inotify_instances=128), {"inotify": "warning"}),
        (replace(HOST, inotify_watches=8192), {"inotify": "warning"}),
        (replace(HOST, inotify_instances=None), {}),
        (replace(HOST, routes=(("10.0.0.0/8", "tun0"),)), {"routes": "warning"}),
        (replace(HOST, routes=(("172.18.0.0/16", "br-1234"), ("0.0.0.0/0", "eth0"))), {}),
        (replace(HOST, environment={"HTTP_PROXY": "http://u:secret@p"}), {"proxies": "warning"}),
        (replace(HOST, environment={"HTTPS_PROXY": "http://p", "NO_PROXY": "localhost,127.0.0.1"}), {}),
        (replace(HOST, ports={18080: False, 18900: True}), {}),
    ],
)
def test_problems_of_the_host_are_found(here: HostInfo, expected: dict[str, str]) -> None:
    found = check_host(here)
    assert problems(found) == expected
    assert "secret" not in repr(found)
    assert all(each.why and (each.remedy or each.level == "ok") for each in found)


def test_full_disk_is_found() -> None:
    assert problems(check_engine(ENGINE, replace(HOST, disk_free=GIB), NOW)) == {"disk": "error"}


def test_linux_routes_are_parsed() -> None:
    text = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "tun0\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "broken line\n"
    )
    assert parse_routes(text) == (("10.244.0.0/16", "tun0"), ("0.0.0.0/0", "eth0"))


PODMAN = replace(
    ENGINE,
    program="podman",
    server_version="5.4.2",
    storage_driver="overlay",
    security_options=("name=rootless",),
    controllers=("cpu", "memory", "pids"),
)
PODMAN_HOST = replace(
    HOST, modules=frozenset({"ip_tables", "iptable_nat", "ip6_tables", "ip6table_nat"}), pids_limit=65536
)


@pytest.mark.parametrize(
    ("info", "here", "expected"),
    [
        (PODMAN, PODMAN_HOST, {}),
        (replace(PODMAN, server_version="2.2.1"), PODMAN_HOST, {"podman": "error"}),
        (replace(PODMAN, cgroup_version="1"), PODMAN_HOST, {"cgroups": "error"}),
        (replace(PODMAN, controllers=("memory", "pids")), PODMAN_HOST, {"delegation": "error"}),
        (replace(PODMAN, controllers=None), PODMAN_HOST, {}),
        (replace(PODMAN, storage_driver="vfs"), PODMAN_HOST, {"storage": "warning"}),
        (PODMAN, replace(PODMAN_HOST, modules=frozenset({"ip_tables"})), {"iptables": "warning"}),
        (replace(PODMAN, security_options=()), replace(PODMAN_HOST, modules=frozenset()), {}),
        (PODMAN, replace(PODMAN_HOST, modules=None, pids_limit=None), {}),
        (PODMAN, replace(PODMAN_HOST, pids_limit=2048), {"pids limit": "warning"}),
        (PODMAN, replace(PODMAN_HOST, pids_limit=0), {}),
        (replace(PODMAN, memory=GIB), PODMAN_HOST, {"memory": "error"}),
        (replace(ENGINE, program="nerdctl", server_version="v1.6.2"), HOST, {"nerdctl": "error"}),
        (replace(ENGINE, program="nerdctl", server_version="v2.0.3"), HOST, {}),
    ],
)
def test_known_troubles_of_other_engines_are_found(info: EngineInfo, here: HostInfo, expected: dict[str, str]) -> None:
    found = check_engine(info, here, NOW)
    assert problems(found) == expected
    assert all(each.why and (each.remedy or each.level == "ok") for each in found)


def test_memory_of_podmans_machine_is_set_with_its_own_commands() -> None:
    found = check_engine(replace(PODMAN, memory=GIB), PODMAN_HOST, NOW)
    assert any("podman machine set --memory" in each.remedy for each in found)


def test_limit_of_processes_is_that_of_the_last_file() -> None:
    assert pids_limit([]) == 2048
    assert pids_limit(["[containers]\npids_limit = 4096\n", "# pids_limit = 1\n  pids_limit=0 # none\n"]) == 0
    assert pids_limit(["pids_limit = -1\n", "pids_limit = many\n"]) == 0
