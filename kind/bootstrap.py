"""The plan of `c8s up --kind`: from a machine with Docker to a cluster with the controller in it.

Each step may be interrupted and done again. What a step found out is kept on the `Bootstrap` for those after it; what
must outlive us is in the record and in the cluster.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controller.kube import KubeClient, KubeError, connect
from kind import apply, doctor, kustomize, lifecycle, object_store, readiness
from kind import service_account_token as access
from kind.cluster_record import Record, choose_ports, is_ours, read_record, write_record
from kind.errors import KindError, NotOursError, PortTakenError
from kind.image import build as image
from kind.plan import Say, Step
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind, Ports, config, progress
from kind.tools.process import Run, run

NODE_IMAGE = "kindest/node:v1.36.2"
SAMPLE_IMAGES = ("busybox:1.36", "python:3.12-slim")
"""What the samples' steps run in: put on the node when they are on this machine, never pulled for it."""
_API_SECONDS = 180.0
_READY_SECONDS = 240.0
_CREATE_TRIES = 3


@dataclass(frozen=True)
class Options:
    """What was asked for. `folder` holds the sandbox's files, `cache` what may be thrown away."""

    cluster: str
    folder: Path
    cache: Path
    node_image: str = NODE_IMAGE
    base_image: str = image.BASE_IMAGE
    minio_image: str = kustomize.MINIO_IMAGE
    wheels: Path | None = None
    s3: object_store.S3 | None = None
    load: tuple[str, ...] = ()
    """More images to put on the node."""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def record_file(self) -> Path:
        return self.folder / "kind.json"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def access(self) -> access.Access:
        return access.Access(self.folder / "credentials" / "workbench.token", self.kubeconfig)


class Bootstrap:
    """The steps, and what they tell each other."""

    def __init__(
        self,
        options: Options,
        *,
        runs: Run = run,
        ports_free: Callable[[int], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.kind = Kind(runs)
        self.docker = Docker(runs)
        recipe = image.Recipe(options.base_image, options.wheels, options.cache)
        self.builder = image.ImageBuilder(self.docker, recipe, runs)
        self.record: Record | None = read_record(options.record_file)
        self._free = ports_free
        self._clock = clock
        self._image = ""

    def steps(self) -> list[Step]:
        """The plan."""
        return [*self._cluster_steps(), *self._store_steps(), *self._controller_steps()]

    def _cluster_steps(self) -> list[Step]:
        o = self.options
        create = f"kind create cluster --name {o.cluster} --image {o.node_image} --config … --wait 120s"
        build = f"pip download; docker build from {o.base_image}"
        overlay = f"apply kind/manifests/overlays/{self._overlay}, Deployments later"
        after = ("machine",)
        return [
            Step("machine", "Check the machine", "kind version; docker info", self._machine),
            Step("cluster", f"Create the cluster {o.cluster}", create, self._create, self._cluster_there, after),
            Step("image", "Build the controller's image", build, self._build, self._image_there, after),
            Step(
                "load",
                "Put the image on the node",
                "kind load docker-image c8s-controller:…",
                self._load,
                needs=("cluster", "image"),
            ),
            Step("objects", "Apply resources, rights and settings", overlay, self._objects, needs=("cluster",)),
        ]

    def _store_steps(self) -> list[Step]:
        proof = "write, read and delete an object"
        minio = f"kind load docker-image {self.options.minio_image}; apply Deployment c8s-minio"
        inside = [Step("store", "Start the object store", minio, self._minio, needs=("objects",))]
        found = inside if self.options.s3 is None else []
        needs = found[0].name if found else "objects"
        return [*found, Step("bucket", "Make the bucket, and prove it", proof, self._bucket, needs=(needs,))]

    def _controller_steps(self) -> list[Step]:
        o = self.options
        deploy = "apply Deployments c8s-operator and c8s-api; wait until they are ready"
        load = "kind load docker-image, of those on this machine: " + ", ".join((*SAMPLE_IMAGES, *o.load))
        token = f"token of the service account {access.ACCOUNT}, renewed by itself; context kind-{o.cluster}"
        return [
            Step("controller", "Start operator and API", deploy, self._controller, needs=("load", "bucket")),
            Step("images", "Put the samples' images on the node", load, self._sample_images, needs=("load",)),
            Step("context", "Let the workbench in", token, self._context, needs=("controller",)),
        ]

    # -- machine, cluster

    async def _machine(self, say: Say) -> str:
        version = await self.kind.version()
        info = await self.docker.info()
        for each in doctor.judge_docker(info, doctor.machine(info, ports={}), self._clock()):
            if each.level == "error":
                raise KindError(each.found, each.remedy)
            if each.level == "warning":
                say(f"{each.check}: {each.found}. {each.remedy}")
        return f"kind {'.'.join(map(str, version))}, Docker {info.server_version}"

    async def _cluster_there(self) -> str | None:
        """Find our cluster, start its node where it is stopped, and refuse one that is not ours."""
        name = self.options.cluster
        if name not in await self.kind.clusters():
            return None
        record = self.record or Record(name, Ports(0, 0), "")
        container = await self.docker.container(record.node)
        if container is None or self.record is None or not is_ours(self.record, container):
            raise NotOursError(
                f"there is a kind cluster {name} that c8s did not make; it is left alone",
                "Choose another name with --name, or remove it with "
                f"`kind delete cluster --name {name}` if nobody needs it.",
            )
        if not self.record.container:
            # Its creation was interrupted: nothing in it is ours yet, and half a cluster can't be mended.
            await self.kind.delete(name)
            return None
        started = "" if container.running else ", started again"
        if not container.running:
            await self.docker.start(container.name)
        await self._write_kubeconfig()
        async with self._client() as client:
            version = await apply.answers(client, seconds=_API_SECONDS)
        if not lifecycle.has_context(self.record.context):
            await self.kind.export_kubeconfig(name)
        return f"there already, Kubernetes {version}{started}"

    async def _create(self, say: Say) -> str:
        self.options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        avoid: set[int] = set()
        for attempt in range(1, _CREATE_TRIES + 1):
            last = self.record.ports if self.record else None
            chosen = {"free": self._free} if self._free else {}
            ports = choose_ports(last, avoid=avoid, **chosen)
            self._remember(Record(self.options.cluster, ports, self.options.node_image))
            file = self.options.folder / "cluster.yaml"
            file.write_text(config(ports))
            try:
                await self.kind.create(self.options.cluster, self.options.node_image, file, _progress(say))
                break
            except PortTakenError as error:
                if attempt == _CREATE_TRIES:
                    raise
                avoid |= {ports.api, ports.s3}
                say(f"{error.what}; trying others")
        assert self.record is not None
        container = await self.docker.container(self.record.node)
        if container is None:
            raise KindError(
                f"kind made the cluster, but Docker has no container {self.record.node}", "See `docker ps`."
            )
        await self._write_kubeconfig()
        self._remember(replace(self.record, container=container.id))
        async with self._client() as client:
            version = await apply.answers(client, seconds=_API_SECONDS)
        return f"Kubernetes {version}; API on {self.record.api_url}"

    # -- image

    async def _image_there(self) -> str | None:
        self._image = await self.builder.present() or ""
        return f"{self._image} is built already" if self._image else None

    async def _build(self, say: Say) -> str:
        self._image, has_git = await self.builder.build(say)
        if has_git:
            return self._image
        return (
            f"{self._image}; WITHOUT git, which its base has not and no network gave: runs with a git source fail "
            f"(--base-image names another base; `docker rmi {self._image}` has it built again)"
        )

    async def _load(self, say: Say) -> str:
        await self._put_on_node(self._image, say)
        return f"{self._image} is on the node"

    async def _sample_images(self, say: Say) -> str:
        there = [each for each in SAMPLE_IMAGES if await self.docker.image_id(each) is not None]
        for each in (*there, *self.options.load):
            await self._put_on_node(each, say)
        return ", ".join((*there, *self.options.load)) or "none of them is on this machine; the node pulls them"

    async def _put_on_node(self, name: str, say: Say) -> None:
        if await self.docker.image_id(name) is None:
            say(f"pulling {name}")
            await self.docker.pull(name, say)
        assert self.record is not None
        await image.load(self.kind, self.docker, self.options.cluster, [self.record.node], name, say)

    # -- objects

    def _rendered(self) -> list[kustomize.Json]:
        assert self.record is not None
        o = self.options
        where = o.s3.url() if o.s3 is not None else object_store.minio_url(self.record.s3_url)
        values = kustomize.Values(self._image, o.minio_image, {"C8S_STORE": where, **o.settings})
        return kustomize.filled(kustomize.render(kustomize.FOLDER / "overlays" / self._overlay), values)

    @property
    def _overlay(self) -> str:
        return "kind" if self.options.s3 is None else "kind-s3"

    async def _objects(self, say: Say) -> str:
        # The settings name the image, which may still be in the making: they come with the Deployments.
        later = ("Deployment", "ConfigMap")
        async with self._client() as client:
            count = await apply.apply(client, [each for each in self._rendered() if each["kind"] not in later])
            keys = self.options.s3.keys() if self.options.s3 is not None else object_store.new_keys()
            await apply.keep_secret(client, kustomize.secret(kustomize.STORE_SECRET, keys))
            key = {"agent.key": secrets.token_urlsafe(32)}
            await apply.keep_secret(client, kustomize.secret(kustomize.KEY_SECRET, key))
        return f"{count} objects"

    async def _minio(self, say: Say) -> str:
        await self._put_on_node(self.options.minio_image, say)
        await self._deploy(["c8s-minio"], say)
        return f"MinIO is ready on {self.record.s3_url if self.record else ''}"

    async def _bucket(self, say: Say) -> str:
        found = self.options.s3 or await self._inner_store()
        made = await object_store.make_bucket(found)
        await object_store.prove(found)
        return f"the bucket {found.bucket} " + ("is made" if made else "was there") + "; written, read, deleted"

    async def _inner_store(self) -> object_store.S3:
        assert self.record is not None
        async with self._client() as client:
            kept = await apply.keep_secret(client, kustomize.secret(kustomize.STORE_SECRET, object_store.new_keys()))
        keys = lifecycle.decoded(kept)
        return object_store.S3(
            self.record.s3_url, access_key=keys["AWS_ACCESS_KEY_ID"], secret_key=keys["AWS_SECRET_ACCESS_KEY"]
        )

    async def _controller(self, say: Say) -> str:
        await self._deploy(["c8s-operator", "c8s-api"], say)
        assert self.record is not None
        await readiness.api_ready(self.record.api_url, seconds=_READY_SECONDS)
        self._remember(replace(self.record, image=self._image))
        return f"ready on {self.record.api_url}"

    async def _deploy(self, names: list[str], say: Say) -> None:
        settings = ["c8s-settings"] if "c8s-api" in names else []
        wanted = [each for each in self._rendered() if each["metadata"]["name"] in (*names, *settings)]
        async with self._client() as client:
            await apply.apply(client, [each for each in wanted if each["kind"] in ("Deployment", "ConfigMap")])
            await apply.rolled_out(client, names, seconds=_READY_SECONDS, say=say)

    async def _context(self, say: Say) -> str:
        async with self._client() as client:
            await access.renew(self.options.access, client, self._clock())
        return f"its token is in {self.options.access.token_file}"

    # -- what several need

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[KubeClient]:
        try:
            async with connect(self.options.kubeconfig) as client:
                yield client
        except KubeError as error:
            raise KindError(f"the cluster's API: {error}", "Try again; `c8s status` says how it is.") from error

    async def _write_kubeconfig(self) -> None:
        access.write_private(self.options.kubeconfig, await self.kind.kubeconfig(self.options.cluster))

    def _remember(self, record: Record) -> None:
        self.record = record
        write_record(self.options.record_file, record)


def dry_run(options: Options) -> list[dict[str, Any]]:
    """The plan as plain values (`kind.plan.described`); nothing is asked of Docker or a cluster."""
    from kind.plan import described

    return described(Bootstrap(options).steps())


def _progress(say: Say) -> Callable[[str], None]:
    """kind's own progress lines as sentences; its chatter is left out."""

    def hear(line: str) -> None:
        if (doing := progress(line)) is not None:
            say(doing)

    return hear
