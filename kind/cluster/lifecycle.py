"""Stopping, deleting and health of a cluster that c8s created."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from controller.kube import PIPELINE_RUNS, PODS, KubeError, connect
from kind import apply, readiness
from kind.cluster_record import ClusterRecord, matches_record
from kind.errors import ForeignClusterError, KindError
from kind.image import node
from kind.kustomize import SYSTEM_NAMESPACE
from kind.plan import ProgressCallback
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind
from kind.tools.process import CommandRunner, run

Json = dict[str, Any]
_FINAL_PHASES = {"Succeeded", "Failed", "Cancelled"}


@dataclass(frozen=True)
class ComponentHealth:
    """The health of one component, and a sentence about it."""

    name: str
    healthy: bool
    detail: str


def decode_secret(secret: Json) -> dict[str, str]:
    """The decoded values of a Secret."""
    return {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}


def has_context(name: str, environment: dict[str, str] | None = None) -> bool:
    """Whether the kubeconfig of the user has this context; files that can't be read are ignored."""
    env = os.environ if environment is None else environment
    files = [each for each in env.get("KUBECONFIG", "").split(os.pathsep) if each]
    for file in files or [str(Path("~/.kube/config").expanduser())]:
        try:
            document = yaml.safe_load(Path(file).read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        contexts = document.get("contexts") if isinstance(document, dict) else None
        if any(isinstance(each, dict) and each.get("name") == name for each in contexts or ()):
            return True
    return False


async def runs_in_progress(kubeconfig: Path) -> list[str]:
    """The runs that are not in a final phase, as `namespace/name`. Raises KindError."""
    try:
        async with connect(kubeconfig) as client:
            found = await client.list(PIPELINE_RUNS)
    except KubeError as error:
        raise KindError(
            f"the runs can't be listed: {error}", "Check with `c8s status` that the cluster is running."
        ) from error
    return sorted(
        f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in found["items"]
        if (each.get("status") or {}).get("phase") not in _FINAL_PHASES
    )


async def stop(record: ClusterRecord, run_command: CommandRunner = run) -> bool:
    """Stop the node, which can be started again; False if it is not running. Raises ForeignClusterError."""
    docker = Docker(run_command, record.provider)
    container = await docker.container(record.node)
    if container is None or not container.running:
        return False
    _require_own(record, matches_record(record, container))
    await docker.stop(container.name)
    return True


async def delete(record: ClusterRecord, report: ProgressCallback, run_command: CommandRunner = run) -> bool:
    """Delete the cluster with all its data; False if there is none. Raises ForeignClusterError."""
    kind, docker = Kind(run_command, record.provider), Docker(run_command, record.provider)
    if record.cluster not in await kind.clusters():
        return False
    container = await docker.container(record.node)
    _require_own(record, container is not None and matches_record(record, container))
    await kind.delete(record.cluster, report)
    # The newest one makes the next cluster quick.
    for each in await docker.prune(node.IMAGE_ROLE, node.REPOSITORY, keep=1):
        report(f"removed the old node image {each}")
    return True


def _require_own(record: ClusterRecord, ours: bool) -> None:
    if not ours:
        raise ForeignClusterError(
            f"the kind cluster {record.cluster} was not created by c8s; it is left unchanged",
            f"`kind delete cluster --name {record.cluster}` removes it, if that is what you want.",
        )


async def health(record: ClusterRecord, kubeconfig: Path, run_command: CommandRunner = run) -> list[ComponentHealth]:
    """The health of each component, from the engine to the API, up to the first that fails. Never raises KindError."""
    docker = Docker(run_command, record.provider)
    try:
        info = await docker.info()
        container = await docker.container(record.node)
    except KindError as error:
        return [ComponentHealth(record.provider, False, str(error))]
    parts = [ComponentHealth(record.provider, True, f"version {info.server_version}")]
    if container is None or not matches_record(record, container):
        return [*parts, ComponentHealth("node", False, f"there is no container {record.node} that c8s created")]
    if not container.running:
        return [*parts, ComponentHealth("node", False, "stopped; `c8s up --kind` starts it")]
    parts.append(ComponentHealth("node", True, f"container {record.node}, {record.node_image}"))
    try:
        async with connect(kubeconfig) as client:
            version = (await client.version()).get("gitVersion", "")
            parts.append(ComponentHealth("cluster", True, f"Kubernetes {version}"))
            listed = await client.list(apply.DEPLOYMENTS, SYSTEM_NAMESPACE)
            parts += [await _deployment(client, each) for each in listed["items"]]
    except KubeError as error:
        return [*parts, ComponentHealth("cluster", False, str(error))]
    reason = await readiness.check_ready(record.api_url)
    return [*parts, ComponentHealth("api", reason is None, reason or f"{record.api_url} is ready")]


async def _deployment(client: Any, deployment: Json) -> ComponentHealth:
    name = deployment["metadata"]["name"]
    if apply.is_rolled_out(deployment):
        return ComponentHealth(name, True, f"{deployment['spec'].get('replicas', 1)} ready")
    pods = await client.list(PODS, SYSTEM_NAMESPACE, label_selector=f"app.kubernetes.io/name={name}")
    try:
        return ComponentHealth(name, False, apply.pending_reason(name, pods["items"]))
    except KindError as error:
        return ComponentHealth(name, False, str(error))


def summarize(parts: Sequence[ComponentHealth]) -> Literal["running", "stopped", "unhealthy"]:
    """The state of the cluster as one word."""
    if all(part.healthy for part in parts):
        return "running"
    stopped = next((part for part in parts if part.name == "node"), None)
    return "stopped" if stopped is not None and not stopped.healthy else "unhealthy"
