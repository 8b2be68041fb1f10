"""kind and docker as they were on a real machine: what we call them with is what was recorded, to the word."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from kind.errors import KindError, PortTakenError, ProgramFailedError, ProgramMissingError
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind, Ports, cluster_config, parse_progress
from tests.support.waiting import wait_until_async
from tests.unit.kind.conftest import Plays

IMAGE = "kindest/node:v1.36.2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "cluster.yaml"
    written.write_text(cluster_config(Ports(18080, 18900)))
    return written


async def test_cluster_is_created_with_progress(plays: Plays, file: Path) -> None:
    plays("create")
    lines: list[str] = []
    await Kind().create("c8s", IMAGE, file, lines.append)
    assert [said for line in lines if (said := parse_progress(line))] == [
        "Ensuring node image (kindest/node:v1.36.2)",
        "Preparing nodes",
        "Writing configuration",
        "Starting control-plane",
        "Installing CNI",
        "Installing StorageClass",
        "Waiting ≤ 2m0s for control-plane = Ready",
        "Ready after 17s",
    ]


async def test_version_clusters_nodes_and_images_are_parsed(plays: Plays) -> None:
    plays("kind-version", "get-clusters-none", "get-clusters", "get-nodes", "load-image", "load-image-again")
    kind = Kind()
    assert await kind.version() == (0, 33, 0)
    assert await kind.clusters() == ()
    assert await kind.clusters() == ("c8s",)
    assert await kind.nodes("c8s") == ("c8s-control-plane",)
    await kind.load("c8s", "busybox:1.36")
    await kind.load("c8s", "busybox:1.36")


async def test_cluster_with_a_stopped_node_is_listed_and_started(plays: Plays) -> None:
    played = plays("docker-stop-node", "get-clusters-stopped", "docker-start-node", "delete", "delete-again")
    await Docker().stop("c8s-control-plane")
    assert await Kind().clusters() == ("c8s",)
    await Docker().start("c8s-control-plane")
    await Kind().delete("c8s")
    await Kind().delete("c8s")
    assert len(played.read_text().split()) == 5


async def test_docker_info_is_parsed(plays: Plays) -> None:
    plays("docker-info")
    info = await Docker().info()
    assert (info.server_version, info.client_version) == ("20.10.24+dfsg1", "28.2.2")
    assert info.memory == 25276502016
    assert info.cpus == 2
    assert info.cgroup_version == "1"
    assert info.storage_driver == "overlay2"
    assert not info.rootless
    assert not info.containerd_store


async def test_missing_engine_is_reported_although_docker_prints_json(plays: Plays) -> None:
    plays("no-daemon-docker-info")
    with pytest.raises(KindError, match="Cannot connect to the Docker daemon") as caught:
        await Docker().info()
    assert "Start Docker" in caught.value.remedy


@pytest.mark.parametrize("play", ["no-daemon-kind-get"])
async def test_kind_without_an_engine_is_reported_with_a_remedy(plays: Plays, play: str) -> None:
    plays(play)
    with pytest.raises(KindError, match="Start Docker"):
        await Kind().clusters()


async def test_port_in_use_has_an_error_of_its_own(plays: Plays, file: Path) -> None:
    # The failures were recorded without --wait.
    played = plays("create-port-taken")
    with pytest.raises(PortTakenError, match="18080"):
        await create_at_once(file)
    assert played.read_text() == "create-port-taken"


@pytest.mark.parametrize(
    ("play", "image", "said"),
    [
        ("create-image-missing", "kindest/node:v9.9.9", "registry is not reachable"),
        ("create-exists", IMAGE, "already exist"),
        ("create-bad-config", IMAGE, "not a valid node role"),
    ],
)
async def test_failed_creation_is_reported_with_its_reason(
    plays: Plays, file: Path, play: str, image: str, said: str
) -> None:
    plays(play)
    with pytest.raises(ProgramFailedError, match=said):
        await create_at_once(file, image)


async def create_at_once(file: Path, image: str = IMAGE) -> None:
    """`kind create` without `--wait`, as the failures were recorded, judged as ours are."""
    from kind.tools.kind_cli import create_failure
    from kind.tools.process import run

    command = ["kind", "create", "cluster", "--name", "c8s", "--image", image, "--config", str(file)]
    raise create_failure(await run(command, timeout=60), image)


@pytest.mark.parametrize(
    ("play", "cluster", "image", "said"),
    [
        ("load-image-missing", "c8s", "nothing/here:1", "not present locally"),
        ("load-no-cluster", "nope", "busybox:1.36", "no nodes found"),
    ],
)
async def test_failed_load_is_reported_with_its_reason(
    plays: Plays, play: str, cluster: str, image: str, said: str
) -> None:
    plays(play)
    with pytest.raises(ProgramFailedError, match=said):
        await Kind().load(cluster, image)


async def test_missing_cluster_has_no_kubeconfig(plays: Plays) -> None:
    plays("get-kubeconfig-missing")
    with pytest.raises(ProgramFailedError, match="could not locate any control plane nodes"):
        await Kind().kubeconfig("nope")


async def test_pull_without_a_network_is_reported_with_a_remedy(plays: Plays) -> None:
    plays("docker-pull-missing")
    with pytest.raises(ProgramFailedError, match="docker load"):
        await Docker().pull("quay.io/none/none:1")


async def test_missing_program_is_reported_with_instructions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissingError, match="Install kind"):
        await Kind().version()


async def test_cancelled_program_is_terminated(plays: Plays, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kind.tools.process._TERMINATION_GRACE", 100.0)
    played = plays("create", pace=1.0)
    creating = asyncio.create_task(Kind().create("c8s", IMAGE, file))
    await wait_until_async(played.exists, what="the start of the program")
    creating.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert time.monotonic() - began < 60, "it was not killed after the time that it may take"
