"""Images get onto a node once: not if its node image has them, or the node itself."""

from __future__ import annotations

import json
from pathlib import Path

from kind.image.loading import NodeLoader
from kind.image.node import NodeImages
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind
from tests.unit.kind.conftest import Programs

NODE, IMAGE = "c8s-control-plane", "c8s-controller:1"


def loader(programs: Programs, folder: Path) -> NodeLoader:
    programs.answers = {
        "docker image inspect": (0, "sha256:1"),
        "docker exec c8s-control-plane crictl inspecti": (1, "no such image"),
        "docker exec c8s-control-plane sh -c": (0, "unpacking … done"),
        "kind load docker-image": (0, ""),
    }
    docker = Docker(programs)
    return NodeLoader(Kind(programs), docker, NodeImages(docker, folder), "c8s", NODE)


def ignore(_: str) -> None:
    return


async def test_image_of_the_node_image_is_unpacked_instead_of_loaded(programs: Programs, tmp_path: Path) -> None:
    made = loader(programs, tmp_path)
    made.brought = {IMAGE: "sha256:1"}
    assert await made.load(IMAGE, ignore) == "c8s-controller:1 is in the node image"
    assert not any(each.startswith("kind load") for each in programs.asked)
    programs.answers["docker exec c8s-control-plane sh -c"] = (1, "ctr: unknown command")
    assert "unpacked when it is used first" in await made.load(IMAGE, ignore)


async def test_image_that_changed_since_is_loaded(programs: Programs, tmp_path: Path) -> None:
    made = loader(programs, tmp_path)
    made.brought = {IMAGE: "sha256:0"}
    await made.load(IMAGE, ignore)
    assert programs.asked[-1] == f"kind load docker-image --name c8s {IMAGE}"


async def test_image_that_the_node_has_is_not_loaded_again(programs: Programs, tmp_path: Path) -> None:
    made = loader(programs, tmp_path)
    for identity, count in (("sha256:1", 0), ("sha256:2", 1)):
        answer = json.dumps({"status": {"id": identity}})
        programs.answers["docker exec c8s-control-plane crictl inspecti"] = (0, answer)
        programs.asked.clear()
        await made.load(IMAGE, ignore)
        assert sum(each.startswith("kind load") for each in programs.asked) == count
    programs.answers["docker exec c8s-control-plane crictl inspecti"] = (0, "not JSON")
    await made.load(IMAGE, ignore)
    assert programs.asked[-1].startswith("kind load")


async def test_missing_image_is_pulled_first(programs: Programs, tmp_path: Path) -> None:
    made = loader(programs, tmp_path)
    programs.answers |= {"docker image inspect": (1, "No such image"), "docker pull": (0, "")}
    await made.load(IMAGE, ignore)
    assert [each.split()[1] for each in programs.asked] == ["image", "pull", "load"]
