"""The whole plan of `c8s up --kind`, twice, on an engine in memory: the second cluster has nothing to load."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kind import object_store, readiness
from kind.access import service_account_token
from kind.cluster import lifecycle
from kind.cluster.bootstrap import Bootstrap
from kind.cluster.bootstrap_options import BootstrapOptions
from kind.cluster_record import read_record
from kind.durations import Durations
from kind.image.node import containerd_name
from kind.kustomize import MINIO_TAG
from kind.plan import StepEvent, execute
from kind.tools.process import CommandResult, OnLine

NODE, BASE = "kindest/node:v1.36.2", "python:3.12-slim"
PYTHON = '{"version": [3, 12], "machine": "x86_64", "libc": "glibc", "libc_version": "2.36"}'
INFO = json.dumps({"ServerVersion": "28.2.2", "MemTotal": 16 << 30, "CgroupVersion": "2"})


class Engine:
    """Docker and kind with their state: images with labels, clusters with a node each, images on nodes."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, str]] = {NODE: {}}
        """The labels of each image."""
        self.versions: dict[str, int] = {}
        """How often an image was replaced by another one of its name."""
        self.clusters: dict[str, str] = {}
        """The node image of each cluster."""
        self.importing: set[str] = set()
        self.asked: list[str] = []

    async def __call__(self, command: Sequence[str], *, on_line: OnLine | None = None, **_: Any) -> CommandResult:
        self.asked.append(" ".join(command))
        answer = self.answer(list(command))
        code, text = (1, "no such image or no such container") if answer is None else (0, answer)
        lines = tuple(("err" if code else "out", line) for line in text.splitlines())
        return CommandResult(tuple(command), code, lines)  # type: ignore[arg-type]

    def answer(self, command: list[str]) -> str | None:
        """What a program prints; None if it fails."""
        program, *words = command
        if program == "kind":
            return self.answer_kind(words)
        if program != "docker":
            return ""
        match words:
            case ["info", *_]:
                return INFO
            case ["image", "inspect", "--format", format_, name]:
                return self.inspect(format_, name)
            case ["image", "ls", "--filter", label, *_]:
                key, _, value = label.removeprefix("label=").partition("=")
                return "\n".join(name for name, own in reversed(self.images.items()) if own.get(key) == value)
            case ["image", "rm", name]:
                return "" if self.images.pop(name, None) is not None else None
            case ["pull", name]:
                self.images[name] = {}
            case ["build", "--tag", name, *_]:
                self.images[name] = {"dev.c8s.role": "controller-image"}
            case ["save", "--output", _, *names]:
                self.importing = set(names)
            case ["commit", *changes, _, name]:
                pairs = (each.removeprefix("LABEL ").partition("=") for each in changes if each.startswith("LABEL "))
                self.images[name] = {key: value for key, _, value in pairs}
            case ["run", "--rm", *_]:
                return PYTHON
            case ["exec", *rest] if "list" in rest:
                return "\n".join(containerd_name(name) for name in self.importing)
            case ["exec", *rest] if "crictl" in rest:
                return None
            case ["container", "inspect", *_, name]:
                cluster = name.removesuffix("-control-plane")
                labels = {"io.x-k8s.kind.cluster": cluster}
                found = {"Id": cluster, "Name": name, "State": {"Running": True}, "Config": {"Labels": labels}}
                return json.dumps(found) if cluster in self.clusters else None
        return ""

    def inspect(self, format_: str, name: str) -> str | None:
        if name not in self.images:
            return None
        if "Config" in format_:
            return json.dumps({"Entrypoint": ["/init"], "Labels": self.images[name], "Env": ["PATH=/bin"]})
        made_of = f"{name} {self.versions.get(name, 0)}"
        identity = f"sha256:{hashlib.sha256(made_of.encode()).hexdigest()}"
        return identity if "RepoDigests" not in format_ else f"{identity} []"

    def answer_kind(self, words: list[str]) -> str | None:
        match words:
            case ["version"]:
                return "kind v0.33.0 go1.27.2"
            case ["get", "clusters"]:
                return "\n".join(self.clusters)
            case ["create", "cluster", "--name", name, "--image", image, *_]:
                self.clusters[name] = image
            case ["delete", "cluster", "--name", name]:
                self.clusters.pop(name, None)
        return ""

    def count(self, *words: str) -> int:
        """How many commands had all these words."""
        return sum(all(word in each for word in words) for each in self.asked)


class Api:
    """The API of a cluster in which everything that is applied is ready at once."""

    async def version(self) -> Any:
        return {"gitVersion": "v1.36.2"}

    async def patch(self, *_: Any, **__: Any) -> Any:
        return {}

    async def get(self, _: Any, name: str, *__: Any) -> Any:
        status = {"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}
        return {"metadata": {"name": name}, "spec": {"replicas": 1}, "status": status, "data": {"agent.key": "a2V5"}}


async def nothing(*_: Any, **__: Any) -> bool:
    return True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    @contextlib.asynccontextmanager
    async def client(_: Bootstrap) -> AsyncIterator[Api]:
        yield Api()

    async def minio(_: Bootstrap) -> object_store.S3Config:
        return object_store.S3Config("http://127.0.0.1:1", access_key="a", secret_key="b")

    monkeypatch.setattr(Bootstrap, "_client", client)
    monkeypatch.setattr(Bootstrap, "_minio_config", minio)
    monkeypatch.setattr(object_store, "create_bucket", nothing)
    monkeypatch.setattr(object_store, "check_store", nothing)
    monkeypatch.setattr(readiness, "wait_until_ready", nothing)
    monkeypatch.setattr(service_account_token, "renew", nothing)
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    return Engine()


async def up(engine: Engine, folder: Path, name: str) -> dict[str, str]:
    """What each step said at its end."""
    options = BootstrapOptions(name, folder / name, folder / "cache")
    made = Bootstrap(options, run_command=engine, port_is_free=lambda _: True)
    ends: dict[str, str] = {}

    def note(event: StepEvent) -> None:
        if event.kind in ("done", "already"):
            ends[event.step] = event.text

    engine.asked.clear()
    await execute(made.steps(), note, durations=Durations(folder / "seconds.json"))
    return ends


async def test_second_cluster_loads_nothing_and_builds_nothing(engine: Engine, tmp_path: Path) -> None:
    first = await up(engine, tmp_path, "one")
    assert engine.clusters == {"one": NODE}
    assert first["keep"].endswith("makes the next cluster quick")
    assert (engine.count("docker build"), engine.count("docker commit")) == (1, 1)
    assert engine.count("kind load docker-image --name one") == 3
    second = await up(engine, tmp_path, "two")
    kept = engine.clusters["two"]
    assert kept.startswith("localhost/c8s-node:")
    assert "with the images in it" in second["cluster"]
    assert second["keep"] == f"{kept} exists"
    for words in (("kind load",), ("docker save",), ("docker build",), ("docker commit",), ("docker pull",), ("pip",)):
        assert engine.count(*words) == 0, words
    assert engine.count("docker exec two-control-plane sh -c", "snapshots", "unpack") == 3
    record = read_record(tmp_path / "two" / "kind.json")
    assert record is not None
    assert (record.node_image, record.container) == (kept, "two")


async def test_existing_cluster_is_found_and_nothing_is_kept_for_it(engine: Engine, tmp_path: Path) -> None:
    await up(engine, tmp_path, "one")
    kept = next(name for name in engine.images if name.startswith("localhost/c8s-node"))
    del engine.images[kept]
    again = await up(engine, tmp_path, "one")
    assert again["cluster"].startswith("exists")
    assert again["keep"] == "not for a cluster that exists already"
    assert engine.count("docker commit") == 0


async def test_another_store_image_makes_another_node_image_and_old_ones_go(engine: Engine, tmp_path: Path) -> None:
    await up(engine, tmp_path, "one")
    for number in (1, 2, 3):
        engine.versions[MINIO_TAG] = number
        found = await up(engine, tmp_path, f"more-{number}")
        assert found["keep"].endswith("makes the next cluster quick")
        assert engine.clusters[f"more-{number}"] == NODE
    assert len([name for name in engine.images if name.startswith("localhost/c8s-node")]) == 2


async def test_deleting_a_cluster_leaves_the_newest_node_image(engine: Engine, tmp_path: Path) -> None:
    await up(engine, tmp_path, "one")
    (newest,) = (name for name in engine.images if name.startswith("localhost/c8s-node"))
    old = {"dev.c8s.role": "node-image"}
    engine.images = {"localhost/c8s-node:old": old, **engine.images}
    record = read_record(tmp_path / "one" / "kind.json")
    assert record is not None
    said: list[str] = []
    assert await lifecycle.delete(record, said.append, engine)
    assert said == ["removed the old node image localhost/c8s-node:old"]
    assert newest in engine.images
    assert engine.clusters == {}
