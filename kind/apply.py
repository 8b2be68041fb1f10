"""Applies objects to a cluster and waits for what they start, by the Kubernetes API and without kubectl."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from controller.kube import (
    PODS,
    SECRETS,
    AlreadyExists,
    ApiError,
    KubeClient,
    KubeError,
    NotFound,
    Resource,
    Unreachable,
)
from controller.kube.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kind.errors import KindError, ManifestError, NotReadyError
from kind.kustomize import SYSTEM
from kind.plan import Say

Json = dict[str, Any]
Pause = Callable[[float], Awaitable[None]]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
_RBAC = "rbac.authorization.k8s.io"
_KINDS = {
    each.kind: each
    for each in (
        NAMESPACES,
        SERVICE_ACCOUNTS,
        CONFIG_MAPS,
        SECRETS,
        DEPLOYMENTS,
        CRDS,
        Resource("", "v1", "services", "Service"),
        Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        Resource(_RBAC, "v1", "roles", "Role"),
        Resource(_RBAC, "v1", "rolebindings", "RoleBinding"),
    )
}
_POLL = 0.5
_HOPELESS = {"InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerError"}
_APPLY_PATIENCE = 30.0


async def answers(client: KubeClient, *, seconds: float, pause: Pause = asyncio.sleep) -> str:
    """Waits until the cluster's API answers; its version. Raises NotReadyError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return str((await client.version()).get("gitVersion", ""))
        except KubeError as error:
            if time.monotonic() > deadline:
                raise NotReadyError(
                    f"the cluster's API does not answer after {seconds:.0f} s: {error}",
                    "See `docker logs` of its node; `c8s down --delete` and `c8s up --kind` make it anew.",
                ) from error
        await pause(_POLL)


async def apply(client: KubeClient, objects: Iterable[Json], *, pause: Pause = asyncio.sleep) -> int:
    """Apply the objects in this order; how many. Raises KindError naming the object that was refused."""
    count = 0
    for each in objects:
        resource = _KINDS.get(each["kind"])
        if resource is None:
            raise ManifestError(f"objects of the kind {each['kind']} are not applied here", "Use `kubectl apply`.")
        await _apply_one(client, resource, each, pause)
        count += 1
    return count


async def _apply_one(client: KubeClient, resource: Resource, obj: Json, pause: Pause) -> None:
    metadata = obj["metadata"]
    deadline = time.monotonic() + _APPLY_PATIENCE
    while True:
        try:
            namespace = metadata.get("namespace")
            await client.patch(resource, metadata["name"], obj, namespace=namespace, patch_type="apply")
            return
        except (ApiError, Unreachable) as error:
            # A cluster that has just been started is busy, or does not see yet what was applied before.
            passing = isinstance(error, (Unreachable, NotFound)) or error.status in (429, 500, 503, 504)
            if not passing or time.monotonic() > deadline:
                what = f"{obj['kind']} {metadata['name']}"
                raise KindError(
                    f"{what} could not be applied: {error}", "See that you may change the cluster."
                ) from error
        await pause(_POLL)


async def keep_secret(client: KubeClient, obj: Json) -> Json:
    """The Secret of this name that is there, else this one. What pods hold already is never changed."""
    name = obj["metadata"]["name"]
    try:
        try:
            return await client.get(SECRETS, name, SYSTEM)
        except NotFound:
            return await client.create(SECRETS, obj, SYSTEM)
    except AlreadyExists:
        return await client.get(SECRETS, name, SYSTEM)
    except KubeError as error:
        raise KindError(
            f"the Secret {name} could not be kept: {error}", "See that you may change the cluster."
        ) from error


async def rolled_out(
    client: KubeClient, names: Sequence[str], *, seconds: float, say: Say, pause: Pause = asyncio.sleep
) -> None:
    """Waits until Deployments run as they were applied. Raises NotReadyError, early where waiting can't help."""
    deadline = time.monotonic() + seconds
    told = ""
    while True:
        why = await _first_reason(client, names)
        if why is None:
            return
        if why != told:
            say(why)
            told = why
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"{why}, after {seconds:.0f} s",
                f"`kubectl -n {SYSTEM} describe pods` and `kubectl -n {SYSTEM} logs` say more.",
            )
        await pause(_POLL)


async def _first_reason(client: KubeClient, names: Sequence[str]) -> str | None:
    """Why one of the Deployments is not ready; a cluster that does not answer now is asked again."""
    for name in names:
        try:
            deployment = await client.get(DEPLOYMENTS, name, SYSTEM)
            if is_rolled_out(deployment):
                continue
            pods = await client.list(PODS, SYSTEM, label_selector=f"app.kubernetes.io/name={name}")
        except Unreachable as error:
            return f"{name}: {error}"
        return why_not(name, pods["items"])
    return None


def is_rolled_out(deployment: Json) -> bool:
    """Whether all replicas are of the newest template and available."""
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    current = status.get("updatedReplicas", 0) == wanted == status.get("replicas", 0)
    return bool(seen and current and status.get("availableReplicas", 0) >= wanted)


def why_not(name: str, pods: Sequence[Json]) -> str:
    """A sentence that says what a Deployment waits for. Raises NotReadyError where waiting can't help."""
    for pod in pods:
        status = pod.get("status") or {}
        for condition in status.get("conditions") or ():
            if condition.get("reason") == "Unschedulable":
                return f"{name} can't be scheduled: {condition.get('message')}"
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            waiting = (container.get("state") or {}).get("waiting") or {}
            reason, message = waiting.get("reason"), waiting.get("message") or ""
            if reason in _HOPELESS:
                remedy = f"Put the image {container.get('image')} where the nodes find it, or name another."
                raise NotReadyError(f"{name}: {reason}: {message}"[:500], remedy)
            if reason == "CrashLoopBackOff" and container.get("restartCount", 0) > 3:
                remedy = (
                    f"`kubectl -n {SYSTEM} logs {pod['metadata']['name']} -c {container['name']} --previous` says why."
                )
                raise NotReadyError(f"{name} keeps ending: {message}"[:500], remedy)
            if reason and reason not in ("ContainerCreating", "PodInitializing"):
                return f"{name} waits: {reason} {message}".strip()[:500]
    return f"{name} is starting"
