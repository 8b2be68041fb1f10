"""The engine of a cluster: the one that was asked for, that of the cluster, or the first that responds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kind.cluster.kept_node_image import KeptNodeImage
from kind.cluster_record import ClusterRecord, read_record, write_record
from kind.errors import KindError, ProgramMissingError
from kind.image import build
from kind.image.node import NodeImages
from kind.provider import choose_provider
from kind.tools.docker_cli import Docker, full_name, parse_container
from kind.tools.kind_cli import Kind, Ports
from kind.tools.process import CommandResult
from tests.unit.kind.conftest import Programs

PODMAN_INFO = {
    "host": {
        "arch": "amd64",
        "cgroupVersion": "v2",
        "cgroupControllers": ["cpu", "memory", "pids"],
        "cpus": 2,
        "distribution": {"distribution": "debian", "version": "12"},
        "memTotal": 25276510208,
        "security": {"rootless": True},
        "serviceIsRemote": False,
    },
    "store": {"graphDriverName": "overlay", "graphRoot": "/var/lib/containers/storage"},
    "version": {"Version": "4.3.1"},
}
"""What Podman 4.3.1 of Debian 12 printed, without what is not read, and as without root."""
DOCKER, PODMAN, NERDCTL = "docker info --format {{json .}}", "podman info --format json", "nerdctl info"
DOCKER_INFO = json.dumps({"ServerVersion": "28.2.2", "MemTotal": 8 << 30, "CgroupVersion": "2"})
STOPPED = (1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")


class Installed:
    """Some programs are on PATH, the others are missing."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    async def __call__(self, command: Sequence[str], **more: Any) -> CommandResult:
        if not any(each.startswith(command[0]) for each in self.programs.answers):
            raise ProgramMissingError(f"there is no program {command[0]!r} on PATH")
        return await self.programs(command, **more)


@pytest.mark.parametrize(
    ("answers", "expected", "why"),
    [
        ({DOCKER: (0, DOCKER_INFO), PODMAN: (0, json.dumps(PODMAN_INFO))}, "docker", "the first"),
        ({PODMAN: (0, json.dumps(PODMAN_INFO)), NERDCTL: (0, DOCKER_INFO)}, "podman", "Docker did not respond"),
        ({DOCKER: STOPPED, PODMAN: (0, json.dumps(PODMAN_INFO))}, "podman", "Docker did not respond"),
        ({NERDCTL: (0, DOCKER_INFO)}, "nerdctl", "Docker, Podman did not respond"),
        # `docker` is the script of the package podman-docker, whose answer has another shape.
        ({DOCKER: (0, json.dumps(PODMAN_INFO)), PODMAN: (0, json.dumps(PODMAN_INFO))}, "podman", "Docker did not"),
    ],
)
async def test_first_engine_that_responds_is_used(
    programs: Programs, answers: dict[str, tuple[int, str]], expected: str, why: str
) -> None:
    programs.answers = answers
    chosen = await choose_provider({}, run_command=Installed(programs))
    assert (chosen.program, chosen.info.program) == (expected, expected)
    assert chosen.why.startswith(why) or why in chosen.why


async def test_command_line_goes_before_setting_and_environment(programs: Programs) -> None:
    programs.answers = {DOCKER: (0, DOCKER_INFO), PODMAN: (0, json.dumps(PODMAN_INFO)), NERDCTL: (0, DOCKER_INFO)}
    environment = {"C8S_KIND_PROVIDER": "nerdctl", "KIND_EXPERIMENTAL_PROVIDER": "podman"}
    for given, own, expected in (("docker", environment, "docker"), ("", environment, "nerdctl")):
        assert (await choose_provider(own, given=given, run_command=programs)).program == expected
    del environment["C8S_KIND_PROVIDER"]
    chosen = await choose_provider(environment, run_command=programs)
    assert (chosen.program, chosen.why) == ("podman", "KIND_EXPERIMENTAL_PROVIDER")


async def test_engine_that_was_asked_for_is_not_replaced(programs: Programs) -> None:
    programs.answers = {DOCKER: (0, DOCKER_INFO), PODMAN: (125, "Cannot connect to Podman: connection refused")}
    with pytest.raises(KindError, match=r"Podman does not respond: .*podman machine init"):
        await choose_provider({}, given="podman", run_command=programs)
    with pytest.raises(KindError, match=r"C8S_KIND_PROVIDER names 'dokcer'.*Use one of docker, podman, nerdctl"):
        await choose_provider({"C8S_KIND_PROVIDER": "dokcer"}, run_command=programs)


async def test_engine_of_an_existing_cluster_is_used_for_it(programs: Programs) -> None:
    programs.answers = {DOCKER: (0, DOCKER_INFO), PODMAN: (0, json.dumps(PODMAN_INFO))}
    assert (await choose_provider({}, recorded="podman", run_command=programs)).program == "podman"
    with pytest.raises(KindError, match=r"was created with Podman, and --provider asks for Docker.*--name"):
        await choose_provider({}, given="docker", recorded="podman", run_command=programs)


async def test_no_engine_at_all_is_told_with_what_to_install(programs: Programs) -> None:
    with pytest.raises(ProgramMissingError, match=r"none of docker, podman, nerdctl is on PATH. Install Docker"):
        await choose_provider({}, run_command=Installed(programs))
    programs.answers = {DOCKER: STOPPED, PODMAN: (125, "Cannot connect to Podman")}
    with pytest.raises(KindError, match=r"Docker does not respond: .*; Podman does not respond: .*Start Docker"):
        await choose_provider({}, run_command=Installed(programs))


async def test_kind_is_told_which_engine_to_use() -> None:
    environments: list[Any] = []

    async def answer(command: Sequence[str], **more: Any) -> CommandResult:
        environments.append(more["environment"])
        return CommandResult(tuple(command), 0, ())

    await Kind(answer, "podman").clusters()
    assert environments == [{"KIND_EXPERIMENTAL_PROVIDER": "podman"}]


def test_record_of_an_earlier_version_is_of_docker(tmp_path: Path) -> None:
    write_record(tmp_path / "kind.json", ClusterRecord("c8s", Ports(1, 2), "image", provider="podman"))
    raw = json.loads((tmp_path / "kind.json").read_text())
    found = read_record(tmp_path / "kind.json")
    assert found is not None
    assert found.provider == "podman"
    del raw["provider"]
    (tmp_path / "kind.json").write_text(json.dumps(raw))
    found = read_record(tmp_path / "kind.json")
    assert found is not None
    assert found.provider == "docker"


async def test_podman_gets_full_names_and_gives_ids_like_docker(programs: Programs) -> None:
    programs.answers = {
        "podman image inspect --format {{.Id}} docker.io/library/busybox:1.36": (0, "a" * 64),
        "podman save --multi-image-archive": (0, ""),
    }
    podman = Docker(programs, "podman")
    assert await podman.image_id("busybox:1.36") == f"sha256:{'a' * 64}"
    await podman.save(["busybox:1.36", "quay.io/minio/minio:1"], Path("images.tar"))
    assert programs.asked[-1].endswith("--output images.tar docker.io/library/busybox:1.36 quay.io/minio/minio:1")
    assert full_name("kindest/node@sha256:ab") == "docker.io/kindest/node@sha256:ab"


async def test_images_go_onto_nodes_of_podman_as_archives(programs: Programs) -> None:
    programs.answers = {"podman save": (0, ""), "podman exec --interactive node ctr": (0, "")}
    podman = Docker(programs, "podman")
    await build.load(Kind(programs, "podman"), podman, "c8s", ["node"], "c8s-controller:1", lambda _: None)
    assert [each.split()[1] for each in programs.asked] == ["save", "exec"]


async def test_nothing_is_kept_with_nerdctl(programs: Programs, tmp_path: Path) -> None:
    from kind.cluster.bootstrap_options import BootstrapOptions

    nerdctl = Docker(programs, "nerdctl")
    kept = KeptNodeImage(nerdctl, NodeImages(nerdctl, tmp_path), BootstrapOptions("c8s", tmp_path, tmp_path))
    assert await kept.find("c8s-controller:1") is None
    assert "sets no labels" in await kept.build("c8s-controller:1", lambda _: None)
    assert programs.asked == []


def test_ports_of_a_node_are_found_where_only_the_running_container_has_them() -> None:
    ports = {"30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}], "6443/tcp": None}
    node = parse_container({"Id": "a", "NetworkSettings": {"Ports": ports}})
    assert node.ports == {"30080/tcp": "127.0.0.1:18080"}
