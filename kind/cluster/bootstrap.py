"""The plan of `c8s up --kind`: a kind cluster with the controller on a host with Docker.

Each step can be interrupted and repeated. Steps share results on the `Bootstrap`; what has to persist is in the record
and in the cluster.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from controller.files import write_private
from controller.kube import KubeClient, KubeError, connect
from kind import apply, kustomize, object_store, readiness
from kind.access import service_account_token
from kind.cluster import lifecycle
from kind.cluster.bootstrap_options import BootstrapOptions
from kind.cluster.kept_node_image import SAMPLE_IMAGES, KeptNodeImage
from kind.cluster_record import ClusterRecord, choose_ports, matches_record, read_record, write_record
from kind.doctor.engine_checks import check_engine
from kind.doctor.host import inspect_host
from kind.errors import ForeignClusterError, KindError, PortTakenError
from kind.image import build as image
from kind.image.digests import DigestRecord
from kind.image.loading import NodeLoader
from kind.image.node import NodeImages
from kind.plan import ProgressCallback, Step
from kind.provider import choose_provider
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind, Ports, cluster_config, parse_progress
from kind.tools.process import CommandRunner, run

_API_SECONDS = 180.0
_READY_SECONDS = 240.0
_CREATE_TRIES = 3
_DEPLOYMENTS = ("c8s-operator", "c8s-api", "c8s-webhook")


class Bootstrap:
    """Builds the plan, runs its steps and holds their shared results."""

    def __init__(
        self,
        options: BootstrapOptions,
        *,
        run_command: CommandRunner = run,
        port_is_free: Callable[[int], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self._run_command = run_command
        self.kind = Kind(run_command)
        self.docker = Docker(run_command)
        recipe = image.ImageSpec(options.base_image, options.wheels, options.cache)
        self.builder = image.ImageBuilder(self.docker, recipe, run_command)
        self.digests = DigestRecord(options.digests_file, self.docker)
        self.node_images = NodeImages(self.docker, options.cache)
        node = ClusterRecord(options.cluster, Ports(0, 0), "").node
        self.kept = KeptNodeImage(self.docker, self.node_images, options)
        self.loader = NodeLoader(self.kind, self.docker, self.node_images, options.cluster, node)
        self.record: ClusterRecord | None = read_record(options.record_file)
        self._port_is_free = port_is_free
        self._clock = clock
        self._image = ""
        self._is_new = False
        """Whether the cluster was created by this plan."""

    def steps(self) -> list[Step]:
        """The plan."""
        return [*self._cluster_steps(), *self._store_steps(), *self._controller_steps()]

    def _cluster_steps(self) -> list[Step]:
        o = self.options
        create = f"kind create cluster --name {o.cluster} --image {o.node_image} --config …, or a kept node image"
        build = f"pip download; docker build from {o.base_image}"
        overlay = f"apply kind/manifests/overlays/{self._overlay}, Deployments later"
        after = ("machine",)
        return [
            Step("machine", "Check the host", "kind version; docker info, or podman or nerdctl", self._check_host),
            Step(
                "cluster",
                f"Create the cluster {o.cluster}",
                create,
                self._create_cluster,
                self._find_cluster,
                after,
                is_long=True,
            ),
            Step(
                "image", "Build the controller image", build, self._build_image, self._find_image, after, is_long=True
            ),
            Step(
                "load",
                "Load the image onto the node",
                "kind load docker-image c8s-controller:…, unless the node image has it",
                self._load_image,
                needs=("cluster", "image"),
                is_long=True,
            ),
            Step("objects", "Apply CRDs, roles and settings", overlay, self._apply_objects, needs=("cluster",)),
        ]

    def _store_steps(self) -> list[Step]:
        check = "write, read and delete an object"
        minio = f"kind load docker-image {self.options.minio_image}; apply Deployment c8s-minio"
        minio_steps = [
            Step("store", "Start the object store", minio, self._start_minio, needs=("objects",), is_long=True)
        ]
        steps = minio_steps if self.options.s3 is None else []
        needs = steps[0].name if steps else "objects"
        return [*steps, Step("bucket", "Create and check the bucket", check, self._create_bucket, needs=(needs,))]

    def _controller_steps(self) -> list[Step]:
        o = self.options
        deploy = "apply Deployments c8s-operator, c8s-api and c8s-webhook"
        load = "kind load docker-image, of those on this host: " + ", ".join((*SAMPLE_IMAGES, *o.load))
        account = service_account_token.ACCOUNT
        token = f"token of the service account {account}, renewed automatically; context kind-{o.cluster}"
        return [
            Step(
                "deploy",
                "Deploy operator, API and receiver",
                deploy,
                self._deploy_controller,
                needs=("load", "objects"),
            ),
            Step(
                "controller",
                "Wait until they are ready",
                "GET /readyz of the API",
                self._wait_for_controller,
                needs=("deploy", "bucket"),
                is_long=True,
            ),
            Step("images", "Load the images of the samples", load, self._load_sample_images, needs=("load",)),
            Step("context", "Create the workbench's token", token, self._create_token, needs=("controller",)),
            Step(
                "keep",
                "Keep a node image for the next cluster",
                "import the images into a copy of the node image, once for each version of them",
                self._keep_node_image,
                self._find_kept_image,
                needs=("images", "controller"),
                is_long=True,
            ),
        ]

    # -- host, cluster

    async def _check_host(self, report: ProgressCallback) -> str:
        recorded = self.record.provider if self.record is not None and self.record.container else ""
        version = await self.kind.version()
        chosen = await choose_provider(
            os.environ, given=self.options.provider, recorded=recorded, run_command=self._run_command
        )
        self.docker.program = self.kind.provider = chosen.program
        info = chosen.info
        for each in check_engine(info, inspect_host(info, ports={}), self._clock()):
            if each.level == "error":
                raise KindError(f"{each.check}: {each.found}", each.remedy)
            if each.level == "warning":
                report(f"{each.check}: {each.found}. {each.remedy}")
        return f"kind {'.'.join(map(str, version))}, {self.docker.title} {info.server_version} ({chosen.why})"

    async def _find_cluster(self) -> str | None:
        """Find the cluster and start its node if stopped. Raises ForeignClusterError if c8s did not create it."""
        name = self.options.cluster
        if name not in await self.kind.clusters():
            return None
        record = self.record or ClusterRecord(name, Ports(0, 0), "")
        container = await self.docker.container(record.node)
        if container is None or self.record is None or not matches_record(self.record, container):
            raise ForeignClusterError(
                f"the kind cluster {name} was not created by c8s; it is left unchanged",
                "Choose another name with --name, or delete it with "
                f"`kind delete cluster --name {name}` if it is not needed.",
            )
        if not self.record.container:
            # Its creation was interrupted: it is empty, and a partial cluster can't be repaired.
            await self.kind.delete(name)
            return None
        started = "" if container.running else ", started again"
        if not container.running:
            await self.docker.start(container.name)
        await self._write_kubeconfig()
        async with self._client() as client:
            version = await apply.wait_for_api(client, timeout=_API_SECONDS)
        if not lifecycle.has_context(self.record.context):
            await self.kind.export_kubeconfig(name)
        return f"exists, Kubernetes {version}{started}"

    async def _create_cluster(self, report: ProgressCallback) -> str:
        self.options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = await self.kept.find(await self.builder.existing_tag() or "")
        self.loader.brought = await self.node_images.loaded(kept) if kept else {}
        try:
            await self._create_nodes(kept or self.options.node_image, report)
        except PortTakenError:
            raise
        except KindError as error:
            if kept is None:
                raise
            report(f"the kept node image failed: {error.message}")
            await self.docker.remove_image(kept)
            kept, self.loader.brought = None, {}
            await self._create_nodes(self.options.node_image, report)
        self._is_new = True
        assert self.record is not None
        container = await self.docker.container(self.record.node)
        if container is None:
            raise KindError(
                f"kind created the cluster, but {self.docker.title} has no container {self.record.node}",
                f"See `{self.docker.program} ps`.",
            )
        await self._write_kubeconfig()
        self._save_record(replace(self.record, container=container.id))
        async with self._client() as client:
            version = await apply.wait_for_api(client, timeout=_API_SECONDS)
        which = f"{self.record.node_image} with the images in it; " if kept else ""
        note = await self._note(self.options.node_image)
        return f"Kubernetes {version}; {which}API on {self.record.api_url}{note}"

    async def _create_nodes(self, node_image: str, report: ProgressCallback) -> None:
        avoid: set[int] = set()
        for attempt in range(1, _CREATE_TRIES + 1):
            last = self.record.ports if self.record else None
            chosen = {"is_free": self._port_is_free} if self._port_is_free else {}
            ports = choose_ports(last, avoid=avoid, **chosen)
            self._save_record(ClusterRecord(self.options.cluster, ports, node_image, provider=self.docker.program))
            file = self.options.folder / "cluster.yaml"
            file.write_text(cluster_config(ports))
            try:
                # What follows waits for the node itself: objects are applied while it gets ready.
                progress = _report_progress(report)
                await self.kind.create(self.options.cluster, node_image, file, progress, wait="0s")
                return
            except PortTakenError as error:
                if attempt == _CREATE_TRIES:
                    raise
                avoid |= {ports.api, ports.s3}
                report(f"{error.message}; trying other ports")

    async def _note(self, name: str) -> str:
        """Record what the image is; a warning for the step's result if it is another one than recorded."""
        check = await self.digests.note(name)
        return f"; WARNING: {check.warning}. {check.remedy}" if check.warning else ""

    # -- image

    async def _find_image(self) -> str | None:
        self._image = await self.builder.existing_tag() or ""
        return f"{self._image} exists" if self._image else None

    async def _build_image(self, report: ProgressCallback) -> str:
        self._image, has_git = await self.builder.build(report)
        built = self._image + await self._note(self.options.base_image)
        if has_git:
            return built
        return (
            f"{built}; WITHOUT git, which its base lacks and could not be installed: runs with a git source fail "
            f"(choose another base with --base-image; `docker rmi {self._image}` forces a new build)"
        )

    async def _load_image(self, report: ProgressCallback) -> str:
        return await self.loader.load(self._image, report)

    async def _load_sample_images(self, report: ProgressCallback) -> str:
        images = [*await self.kept.local_samples(), *self.options.load]
        for each in images:
            await self.loader.load(each, report)
        return ", ".join(images) or "none of them is on this host; the node pulls them"

    async def _find_kept_image(self) -> str | None:
        found = await self.kept.find(self._image)
        return f"{found} exists" if found else None if self._is_new else "not for a cluster that exists already"

    async def _keep_node_image(self, report: ProgressCallback) -> str:
        return await self.kept.build(self._image, report)

    # -- objects

    def _render_objects(self) -> list[kustomize.Json]:
        assert self.record is not None
        o = self.options
        store = o.s3.url() if o.s3 is not None else object_store.minio_url(self.record.s3_url)
        values = kustomize.ManifestValues(
            self._image, o.minio_image, {"C8S_STORE": store, "C8S_ENABLE_DASHBOARD": "true", **o.settings}
        )
        return kustomize.render_values(
            kustomize.render(kustomize.MANIFESTS_FOLDER / "overlays" / self._overlay), values
        )

    @property
    def _overlay(self) -> str:
        return "kind" if self.options.s3 is None else "kind-s3"

    async def _apply_objects(self, report: ProgressCallback) -> str:
        # The settings name the image, which may not be built yet: they are applied with the Deployments.
        later = ("Deployment", "ConfigMap")
        async with self._client() as client:
            count = await apply.apply(client, [each for each in self._render_objects() if each["kind"] not in later])
            keys = self.options.s3.credentials() if self.options.s3 is not None else object_store.generate_credentials()
            await apply.ensure_secret(client, kustomize.build_secret(kustomize.STORE_SECRET, keys))
            await apply.ensure_keys(client)
        return f"{count} objects"

    async def _start_minio(self, report: ProgressCallback) -> str:
        await self.loader.load(self.options.minio_image, report)
        await self._deploy(["c8s-minio"])
        await self._wait_for_rollout(["c8s-minio"], report)
        return f"MinIO is ready on {self.record.s3_url if self.record else ''}"

    async def _create_bucket(self, report: ProgressCallback) -> str:
        store = self.options.s3 or await self._minio_config()
        created = await object_store.create_bucket(store)
        await object_store.check_store(store)
        return f"the bucket {store.bucket} {'was created' if created else 'exists'} and works"

    async def _minio_config(self) -> object_store.S3Config:
        assert self.record is not None
        async with self._client() as client:
            secret = await apply.ensure_secret(
                client, kustomize.build_secret(kustomize.STORE_SECRET, object_store.generate_credentials())
            )
        keys = lifecycle.decode_secret(secret)
        return object_store.S3Config(
            self.record.s3_url, access_key=keys["AWS_ACCESS_KEY_ID"], secret_key=keys["AWS_SECRET_ACCESS_KEY"]
        )

    async def _deploy_controller(self, report: ProgressCallback) -> str:
        await self._deploy(list(_DEPLOYMENTS))
        return ", ".join(_DEPLOYMENTS)

    async def _wait_for_controller(self, report: ProgressCallback) -> str:
        await self._wait_for_rollout(list(_DEPLOYMENTS), report)
        assert self.record is not None
        await readiness.wait_until_ready(self.record.api_url, timeout=_READY_SECONDS)
        self._save_record(replace(self.record, image=self._image))
        return f"ready on {self.record.api_url}"

    async def _deploy(self, names: list[str]) -> None:
        settings = ["c8s-settings"] if "c8s-api" in names else []
        objects = [each for each in self._render_objects() if each["metadata"]["name"] in (*names, *settings)]
        async with self._client() as client:
            await apply.apply(client, [each for each in objects if each["kind"] in ("Deployment", "ConfigMap")])

    async def _wait_for_rollout(self, names: list[str], report: ProgressCallback) -> None:
        async with self._client() as client:
            await apply.wait_for_rollout(client, names, timeout=_READY_SECONDS, report=report)

    async def _create_token(self, report: ProgressCallback) -> str:
        async with self._client() as client:
            await service_account_token.renew(self.options.token, client, self._clock())
        return f"its token is in {self.options.token.token_file}"

    # -- shared by several steps

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[KubeClient]:
        try:
            async with connect(self.options.kubeconfig) as client:
                yield client
        except KubeError as error:
            raise KindError(
                f"the Kubernetes API failed: {error}", "Try again; check the cluster with `c8s status`."
            ) from error

    async def _write_kubeconfig(self) -> None:
        write_private(self.options.kubeconfig, await self.kind.kubeconfig(self.options.cluster))

    def _save_record(self, record: ClusterRecord) -> None:
        self.record = record
        write_record(self.options.record_file, record)


def dry_run(options: BootstrapOptions) -> list[dict[str, Any]]:
    """The plan as JSON values (`kind.plan.describe_plan`), without a request to Docker or a cluster."""
    from kind.plan import describe_plan

    return describe_plan(Bootstrap(options).steps())


def _report_progress(report: ProgressCallback) -> Callable[[str], None]:
    """A callback for output of kind that reports its progress lines only."""

    def handle(line: str) -> None:
        if (progress := parse_progress(line)) is not None:
            report(progress)

    return handle
