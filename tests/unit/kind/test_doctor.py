"""The doctor's judgement: each trouble is found, explained and answered with something to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kind.doctor import GIB, Finding, HostInfo, check_docker, check_host, parse_routes
from kind.tools.docker_cli import DockerInfo

NOW = 1_795_421_477.0
ENGINE = DockerInfo(
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
    assert problems(check_docker(ENGINE, HOST, NOW) + check_host(HOST)) == {}


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
def test_problems_of_the_engine_are_found(info: DockerInfo, expected: dict[str, str]) -> None:
    assert problems(check_docker(info, HOST, NOW)) == expected


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
        (replace(HOST, environment={"KIND_EXPERIMENTAL_PROVIDER": "podman"}), {"provider": "error"}),
        (replace(HOST, ports={18080: False, 18900: True}), {}),
    ],
)
def test_problems_of_the_host_are_found(here: HostInfo, expected: dict[str, str]) -> None:
    found = check_host(here)
    assert problems(found) == expected
    assert "secret" not in repr(found)
    assert all(each.why and (each.remedy or each.level == "ok") for each in found)


def test_full_disk_is_found() -> None:
    assert problems(check_docker(ENGINE, replace(HOST, disk_free=GIB), NOW)) == {"disk": "error"}


def test_linux_routes_are_parsed() -> None:
    text = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "tun0\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "broken line\n"
    )
    assert parse_routes(text) == (("10.244.0.0/16", "tun0"), ("0.0.0.0/0", "eth0"))
