"""The plan of `c8s up --kind`, with fakes of kind and Docker."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kind.cluster.bootstrap import Bootstrap, dry_run
from kind.cluster.bootstrap_options import BootstrapOptions
from kind.cluster_record import ClusterRecord, choose_ports, matches_record, read_record, write_record
from kind.errors import ForeignClusterError, KindError
from kind.plan import Step
from kind.tools.kind_cli import Ports
from tests.unit.kind.conftest import Programs

INSPECT = "docker container inspect --format {{json .}} c8s-control-plane"


def container(running: bool = True, identity: str = "abc", ports: tuple[int, int] = (18080, 18900)) -> str:
    bound = {
        f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
        for inside, port in zip((30080, 30900), ports, strict=True)
    }
    return json.dumps(
        {
            "Id": identity,
            "Name": "/c8s-control-plane",
            "State": {"Running": running},
            "Config": {"Labels": {"io.x-k8s.kind.cluster": "c8s"}},
            "HostConfig": {"PortBindings": bound},
        }
    )


def bootstrap(folder: Path, programs: Programs, record: ClusterRecord | None = None) -> Bootstrap:
    options = BootstrapOptions("c8s", folder, folder / "cache")
    if record is not None:
        write_record(options.record_file, record)
    return Bootstrap(options, run_command=programs, port_is_free=lambda port: True)


def find_step(made: Bootstrap, name: str) -> Step:
    return next(each for each in made.steps() if each.name == name)


def ignore(_: str) -> None:
    return


async def test_foreign_cluster_of_the_same_name_is_not_touched(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"kind get clusters": (0, "c8s"), INSPECT: (0, container(running=False))}
    with pytest.raises(ForeignClusterError, match="left unchanged"):
        await find_step(bootstrap(tmp_path, programs), "cluster").check()
    # The ID differs from the recorded one: another user deleted the cluster and created a new one.
    theirs = ClusterRecord("c8s", Ports(18080, 18900), "image", container="other")
    with pytest.raises(ForeignClusterError):
        await find_step(bootstrap(tmp_path, programs, theirs), "cluster").check()
    assert {command.split()[1] for command in programs.asked} == {"get", "container"}


async def test_interrupted_creation_is_repeated(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {
        "kind get clusters": (0, "c8s"),
        INSPECT: (0, container()),
        "kind delete cluster --name c8s": (0, ""),
    }
    made = bootstrap(tmp_path, programs, ClusterRecord("c8s", Ports(18080, 18900), "image"))
    assert await find_step(made, "cluster").check() is None
    assert programs.asked[-1] == "kind delete cluster --name c8s"


async def test_host_without_an_engine_is_reported_with_a_remedy(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"kind version": (0, "kind v0.33.0 go1.27.2"), "docker info": (1, "Cannot connect to Docker")}
    programs.answers |= {"podman info": (125, "no"), "nerdctl info": (1, "no")}
    with pytest.raises(KindError, match="Start Docker"):
        await find_step(bootstrap(tmp_path, programs), "machine").action(ignore)


async def test_old_kind_is_rejected(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"kind version": (0, "kind v0.11.1 go1.16")}
    with pytest.raises(KindError, match=r"0\.11\.1 is older"):
        await find_step(bootstrap(tmp_path, programs), "machine").action(ignore)


async def test_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path, programs: Programs) -> None:
    taken = "ERROR: failed: Error starting userland proxy: listen tcp4 127.0.0.1:18080: bind: address already in use"
    programs.answers = {"kind create cluster": (1, taken), "docker image inspect": (1, "No such image")}
    made = bootstrap(tmp_path, programs)
    with pytest.raises(KindError, match="18080"):
        await find_step(made, "cluster").action(ignore)
    assert made.record is not None
    assert made.record.ports.api not in (18080, 18900)
    assert sum(each.startswith("kind create") for each in programs.asked) == 3


async def test_existing_image_is_not_built_again(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"docker image inspect": (0, "sha256:1")}
    known = await find_step(bootstrap(tmp_path, programs), "image").check()
    assert known is not None
    assert known.startswith("c8s-controller:")


def test_dry_run_sends_no_request(tmp_path: Path) -> None:
    plan = dry_run(BootstrapOptions("c8s", tmp_path / "none", tmp_path))
    names = [each["step"] for each in plan]
    made = "machine cluster image load objects store bucket deploy controller images context keep"
    assert names == made.split()
    assert all(names.index(need) < names.index(each["step"]) for each in plan for need in each["needs"])
    assert not (tmp_path / "none").exists()


def test_recorded_ports_are_preferred_to_the_next_free_ones() -> None:
    assert choose_ports(is_free=lambda port: True) == Ports(18080, 18900)
    assert choose_ports(is_free=lambda port: port not in (18080, 18081, 18900)) == Ports(18082, 18901)
    assert choose_ports(Ports(20000, 20000), is_free=lambda port: True) == Ports(20000, 20001)


def test_record_is_private_and_can_be_read_again(tmp_path: Path) -> None:
    record = ClusterRecord("c8s", Ports(1, 2), "image", container="abc")
    write_record(tmp_path / "kind.json", record)
    assert read_record(tmp_path / "kind.json") == record
    assert (tmp_path / "kind.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "kind.json").write_text('{"cluster": 1')
    assert read_record(tmp_path / "kind.json") is None


@pytest.mark.parametrize(("ports", "ours"), [((18080, 18900), True), ((18080, 18901), False)])
def test_node_without_a_recorded_id_is_matched_by_its_ports(ports: tuple[int, int], ours: bool) -> None:
    from kind.tools.docker_cli import parse_container

    node = parse_container(json.loads(container(ports=ports)))
    assert matches_record(ClusterRecord("c8s", Ports(18080, 18900), "image"), node) is ours
    assert matches_record(ClusterRecord("other", Ports(18080, 18900), "image"), node) is False


async def test_base_image_that_is_another_one_than_before_is_told(tmp_path: Path, programs: Programs) -> None:
    said = '{"version": [3, 12], "machine": "x86_64", "libc": "glibc", "libc_version": "2.36"}'
    programs.answers = {
        "docker image inspect": (0, 'sha256:1 ["python@sha256:11"]'),
        "docker run": (0, said),
        f"{sys.executable} -m pip": (0, ""),
        "docker build": (0, ""),
        "docker image ls": (0, ""),
    }
    assert "WARNING" not in await find_step(bootstrap(tmp_path / "c8s", programs), "image").action(ignore)
    programs.answers["docker image inspect"] = (0, 'sha256:2 ["python@sha256:22"]')
    result = await find_step(bootstrap(tmp_path / "c8s", programs), "image").action(ignore)
    assert "WARNING: python:3.12-slim is sha256:22, but was sha256:11 when it was first used" in result
    assert "python@sha256:11" in result


class FakeApi:
    """Stands for the new cluster's API in a plan, which reaches it by a kubeconfig otherwise."""

    async def version(self) -> dict[str, str]:
        return {"gitVersion": "v1.36.2"}


def create_with_kept_image(folder: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Bootstrap:
    programs.answers = {
        "docker image inspect": (0, "sha256:1"),
        "docker image inspect --format {{json .Config}}": (
            0,
            json.dumps({"Labels": {"dev.c8s.images": "a:1=sha256:1"}}),
        ),
        "docker image rm localhost/c8s-node:": (0, ""),
        "kind create cluster": (0, ""),
        "kind get kubeconfig": (0, "apiVersion: v1"),
        INSPECT: (0, container()),
    }
    made = bootstrap(folder, programs)

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[FakeApi]:
        yield FakeApi()

    monkeypatch.setattr(made, "_client", client)
    return made


async def test_new_cluster_uses_the_kept_node_image_and_does_not_wait_for_its_node(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_with_kept_image(tmp_path, programs, monkeypatch)
    result = await find_step(made, "cluster").action(ignore)
    (created,) = (each for each in programs.asked if each.startswith("kind create"))
    assert " --image localhost/c8s-node:" in created
    assert created.endswith("--wait 0s")
    assert "with the images in it" in result
    await find_step(made, "image").check()
    assert "exists" in (await find_step(made, "keep").check() or "")


async def test_kept_node_image_that_fails_is_removed_and_replaced(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_with_kept_image(tmp_path, programs, monkeypatch)
    programs.answers["kind create cluster --name c8s --image localhost/"] = (1, "could not find a log line")
    said: list[str] = []
    result = await find_step(made, "cluster").action(said.append)
    images = [each.split()[6] for each in programs.asked if each.startswith("kind create")]
    assert [each.partition(":")[0] for each in images] == ["localhost/c8s-node", "kindest/node"]
    assert any(each.startswith("docker image rm localhost/c8s-node:") for each in programs.asked)
    assert any("kept node image failed" in each for each in said)
    assert "with the images in it" not in result


async def test_first_cluster_is_kept_as_a_node_image_afterwards(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {
        "docker image inspect": (0, "sha256:1"),
        "docker image inspect --format {{.Id}} localhost/c8s-node:": (1, "No such image"),
        "docker image inspect --format {{json .Config}}": (0, "{}"),
        "docker run --detach": (1, "no space left on device"),
        "docker rm --force": (0, ""),
    }
    made = bootstrap(tmp_path, programs)
    made._image = "c8s-controller:1"
    assert await find_step(made, "keep").check() == "not for a cluster that exists already"
    made._is_new = True
    assert await find_step(made, "keep").check() is None
    result = await find_step(made, "keep").action(ignore)
    assert result.startswith("NOT kept, the next cluster takes as long as this one:")
    assert "no space left" in result
