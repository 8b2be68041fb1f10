"""Node images with our images in them: built whole or not at all, found by their contents, and removed when old."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kind.errors import KindError
from kind.image.node import NodeContents, NodeImages, containerd_name
from kind.tools.docker_cli import Docker
from kind.tools.process import CommandResult, OnLine
from tests.unit.kind.conftest import Programs

BASE = "kindest/node:v1.36.2"
CONTROLLER, MINIO = "c8s-controller:1", "quay.io/minio/minio:1"
CONTENTS = NodeContents("sha256:base", {CONTROLLER: "sha256:1", MINIO: "sha256:2"})
CONFIG = {"Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"], "Cmd": None, "Labels": None}
LISTED = f"docker.io/library/{CONTROLLER}\n{MINIO}\nregistry.k8s.io/pause:3.10"
EXEC = "docker exec c8s-node-build-"


def builder(programs: Programs, folder: Path) -> NodeImages:
    programs.answers = {
        "docker image inspect --format {{json .Config}}": (0, json.dumps(CONFIG)),
        "docker run --detach --rm --name c8s-node-build-": (0, "id"),
        "docker save": (0, ""),
        "docker exec": (0, LISTED),
        "docker commit": (0, "sha256:new"),
        "docker rm --force --volumes c8s-node-build-": (0, ""),
        "docker image ls --filter label=dev.c8s.role=node-image ": (0, f"{CONTENTS.tag}"),
    }
    return NodeImages(Docker(programs), folder)


def ignore(_: str) -> None:
    return


def test_contents_decide_the_tag_in_any_order() -> None:
    same = NodeContents("sha256:base", {MINIO: "sha256:2", CONTROLLER: "sha256:1"})
    assert same.tag == CONTENTS.tag
    others = {
        NodeContents("sha256:other", CONTENTS.images).tag,
        NodeContents("sha256:base", {CONTROLLER: "sha256:1"}).tag,
        NodeContents("sha256:base", {CONTROLLER: "sha256:9", MINIO: "sha256:2"}).tag,
    }
    assert len(others | {CONTENTS.tag}) == 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("c8s-controller:1", "docker.io/library/c8s-controller:1"),
        ("kindest/node:v1", "docker.io/kindest/node:v1"),
        ("quay.io/minio/minio:1@sha256:ab", "quay.io/minio/minio:1"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("localhost/c8s-node:1", "localhost/c8s-node:1"),
    ],
)
def test_containerd_names_images_in_full(name: str, expected: str) -> None:
    assert containerd_name(name) == expected


async def test_images_are_imported_and_committed_with_the_start_of_the_base(programs: Programs, tmp_path: Path) -> None:
    assert await builder(programs, tmp_path).build(BASE, CONTENTS, ignore) == CONTENTS.tag
    commit = next(each for each in programs.asked if each.startswith("docker commit"))
    assert 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' in commit
    assert "CMD []" in commit
    assert "LABEL dev.c8s.role=node-image " in commit
    assert commit.endswith(CONTENTS.tag)
    order = [each.split()[1] for each in programs.asked]
    assert order.index("run") < order.index("save") < order.index("commit") < order.index("rm")
    assert programs.asked[-1].startswith("docker image ls --filter label=dev.c8s.role=node-image ")
    assert "--no-unpack" in next(each for each in programs.asked if "images import" in each)
    assert list(tmp_path.iterdir()) == []


async def test_label_tells_what_a_node_image_brings(programs: Programs, tmp_path: Path) -> None:
    images = builder(programs, tmp_path)
    await images.build(BASE, CONTENTS, ignore)
    commit = next(each for each in programs.asked if each.startswith("docker commit"))
    label = commit.partition("LABEL dev.c8s.images=")[2].partition(" c8s-node-build-")[0]
    assert not set(label) & set(" \"'\\")
    labels = {"dev.c8s.images": label}
    programs.answers["docker image inspect --format {{json .Config}}"] = (0, json.dumps({"Labels": labels}))
    assert await images.loaded(CONTENTS.tag) == CONTENTS.images
    for other in ({"Labels": None}, {"Labels": {"dev.c8s.images": "x,="}}, {}):
        programs.answers["docker image inspect --format {{json .Config}}"] = (0, json.dumps(other))
        assert await images.loaded("other") == {}


@pytest.mark.parametrize("failing", ["docker exec", "docker save", "docker commit", "docker run"])
async def test_failure_leaves_no_container_and_no_image(programs: Programs, tmp_path: Path, failing: str) -> None:
    images = builder(programs, tmp_path)
    known = next(each for each in programs.answers if each.startswith(failing))
    programs.answers[known] = (1, "no space left on device")
    with pytest.raises(KindError, match="no space left"):
        await images.build(BASE, CONTENTS, ignore)
    assert programs.asked[-1].startswith("docker rm --force --volumes c8s-node-build-")
    assert failing == "docker commit" or not any(each.startswith("docker commit") for each in programs.asked)
    assert list(tmp_path.iterdir()) == []


async def test_import_that_lost_an_image_is_refused(programs: Programs, tmp_path: Path) -> None:
    images = builder(programs, tmp_path)
    programs.answers["docker exec"] = (0, f"docker.io/library/{CONTROLLER}")
    with pytest.raises(KindError, match=r"without quay\.io/minio/minio:1"):
        await images.build(BASE, CONTENTS, ignore)
    assert not any(each.startswith("docker commit") for each in programs.asked)


async def test_interrupted_build_removes_its_container(programs: Programs, tmp_path: Path) -> None:
    images = builder(programs, tmp_path)
    importing = asyncio.Event()

    async def hang(command: Sequence[str], *, on_line: OnLine | None = None, **more: Any) -> CommandResult:
        if "import" in command:
            importing.set()
            await asyncio.Event().wait()
        return await programs(command, on_line=on_line, **more)

    task = asyncio.create_task(NodeImages(Docker(hang), tmp_path).build(BASE, CONTENTS, ignore))
    await asyncio.wait_for(importing.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert programs.asked[-1].startswith("docker rm --force --volumes c8s-node-build-")
    assert images is not None
    assert list(tmp_path.iterdir()) == []


async def test_only_own_names_are_pruned_and_used_images_stay(programs: Programs, tmp_path: Path) -> None:
    listed = "\n".join(f"localhost/c8s-node:{n}" for n in range(4)) + "\nregistry.example.org/theirs:1\n<none>:<none>"
    programs.answers = {
        "docker image ls": (0, listed),
        "docker image rm localhost/c8s-node:2": (1, "Error: conflict: unable to remove: container abc is using it"),
        "docker image rm localhost/c8s-node:3": (0, ""),
    }
    removed = await Docker(programs).prune("dev.c8s.role=node-image", "localhost/c8s-node", keep=2)
    assert removed == ["localhost/c8s-node:3"]


async def test_contents_are_unknown_while_an_image_is_missing(programs: Programs, tmp_path: Path) -> None:
    programs.answers = {
        "docker image inspect --format {{.Id}}": (0, "sha256:1"),
        f"docker image inspect --format {{{{.Id}}}} {MINIO}": (1, "No such image"),
    }
    images = NodeImages(Docker(programs), tmp_path)
    assert await images.contents(BASE, [CONTROLLER, MINIO]) is None
    assert await images.contents(BASE, [CONTROLLER]) == NodeContents("sha256:1", {CONTROLLER: "sha256:1"})
