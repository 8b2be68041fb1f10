"""The body of a request that creates a container, from the specs of a pod and a container. Pure.

How image and spec combine is Kubernetes' rule: `command` replaces the image's entrypoint and its arguments, `args` its
arguments only; everything else of the spec wins over the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.api.quantity import parse_quantity
from embedded.kubelet.config.environment import ConfigError, expand_variables
from embedded.kubelet.runtime.engine.images.store import EngineImage
from embedded.kubelet.runtime.interface import Launch, StartError

Json = dict[str, Any]

_PERIOD_US = 100_000
_MIN_QUOTA_US = 1000
_MIN_MEMORY = 6 << 20
"""Bytes; Docker refuses a lower limit."""
_MIN_SHARES, _MAX_SHARES = 2, 262_144


@dataclass(frozen=True)
class Placement:
    """What a container shares with others."""

    network: str
    """As the engine's `NetworkMode`."""
    hostname: str = ""
    """Empty where it is that of another container or of the machine."""
    ipc: str = ""
    pid: str = ""
    hosts: Sequence[str] = ()
    """`name:address`."""


@dataclass(frozen=True)
class EngineOptions:
    """What depends on the engine and the cluster."""

    labels: Mapping[str, str]
    security: Sequence[str] = ()
    """Security options of every container."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Single files of the pod's folder, by their path in the container."""
    locate: Callable[[Path], str] = str
    """Where the engine finds what is in the pod's folder."""


def container_body(launch: Launch, pod: Json, image: EngineImage, placement: Placement, options: EngineOptions) -> Json:
    """The request for a container.

    Raises:
        ConfigError: it can't run with this spec.
        StartError: neither the spec nor the image has a command.
    """
    spec = launch.spec
    argv = resolve_argv(spec, image, launch.variables)
    body: Json = {
        "Image": image.id,
        "Entrypoint": argv,
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in launch.variables.items()],
        "User": resolve_user(spec, pod, image),
        "Labels": dict(options.labels),
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _host_config(launch, pod, placement, options),
    }
    if spec.get("workingDir"):
        body["WorkingDir"] = str(spec["workingDir"])
    if placement.hostname:
        body["Hostname"] = placement.hostname
    return body


def resolve_argv(spec: Json, image: EngineImage, variables: Mapping[str, str]) -> list[str]:
    """The words of the first process.

    Raises:
        ConfigError: references to variables expand to too much.
        StartError: there are none.
    """
    command = [expand_variables(str(word), variables) for word in spec.get("command") or []]
    arguments = [expand_variables(str(word), variables) for word in spec.get("args") or []]
    argv = [*command, *arguments] if command else [*image.entrypoint, *(arguments or image.command)]
    if not argv:
        raise StartError(f"container {spec['name']} has no command, and neither has its image {spec.get('image')}")
    return argv


def resolve_user(spec: Json, pod: Json, image: EngineImage) -> str:
    """The user as `uid` or `uid:gid`; empty for the image's own.

    Raises:
        ConfigError: it would be root, and must not. The words are a kubelet's.
    """
    security = _security(spec, pod)
    user, group = security.get("runAsUser"), security.get("runAsGroup")
    if security.get("runAsNonRoot"):
        own = image.user.partition(":")[0]
        if user == 0:
            raise ConfigError("container's runAsUser breaks non-root policy")
        if user is None and own in ("", "0", "root"):
            raise ConfigError("container has runAsNonRoot and image will run as root")
        if user is None and not own.isdigit():
            raise ConfigError(
                f"container has runAsNonRoot and image has non-numeric user ({own}), cannot verify user is non-root"
            )
    if user is None and group is None:
        return ""
    name = str(user) if user is not None else image.user.partition(":")[0] or "0"
    return name if group is None else f"{name}:{group}"


def _security(spec: Json, pod: Json) -> Json:
    """The security context of a container: its own fields win over the pod's."""
    return {**(pod["spec"].get("securityContext") or {}), **(spec.get("securityContext") or {})}


def _host_config(launch: Launch, pod: Json, placement: Placement, options: EngineOptions) -> Json:
    security = _security(launch.spec, pod)
    capabilities = security.get("capabilities") or {}
    groups = [*(security.get("supplementalGroups") or []), *([security["fsGroup"]] if "fsGroup" in security else [])]
    config: Json = {
        "NetworkMode": placement.network,
        "Mounts": _mounts(launch, options),
        # The kubelet stores the log itself.
        "LogConfig": {"Type": "none"},
        "CapAdd": list(capabilities.get("add") or []),
        "CapDrop": list(capabilities.get("drop") or []),
        "Privileged": bool(security.get("privileged")),
        "ReadonlyRootfs": bool(security.get("readOnlyRootFilesystem")),
        "SecurityOpt": [*options.security, *_security_options(security)],
        "GroupAdd": [str(group) for group in groups],
        **_limits(launch.spec.get("resources") or {}),
    }
    if placement.ipc:
        config["IpcMode"] = placement.ipc
    if placement.pid:
        config["PidMode"] = placement.pid
    if placement.hosts:
        config["ExtraHosts"] = list(placement.hosts)
    return config


def _mounts(launch: Launch, options: EngineOptions) -> list[Json]:
    mounts = [
        {"Type": "bind", "Source": options.locate(mount.source), "Target": mount.path, "ReadOnly": mount.read_only}
        for mount in launch.mounts
    ]
    files = [
        {"Type": "bind", "Source": options.locate(file), "Target": path, "ReadOnly": False}
        for path, file in options.files.items()
    ]
    return mounts + files


def _security_options(security: Json) -> list[str]:
    options = []
    if security.get("allowPrivilegeEscalation") is False:
        options.append("no-new-privileges")
    profile = security.get("seccompProfile") or {}
    if profile.get("type") == "Unconfined":
        options.append("seccomp=unconfined")
    elif profile.get("type") == "Localhost":
        raise ConfigError("seccompProfile of type Localhost is not supported here: there is no folder of profiles")
    return options


def _limits(resources: Json) -> Json:
    """Memory without swap, as on a node; CPU time, and its share by the request."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found: Json = {}
    if "memory" in limits:
        memory = max(_MIN_MEMORY, int(parse_quantity(limits["memory"])))
        found |= {"Memory": memory, "MemorySwap": memory}
    if "cpu" in limits:
        found |= {
            "CpuPeriod": _PERIOD_US,
            "CpuQuota": max(_MIN_QUOTA_US, int(parse_quantity(limits["cpu"]) * _PERIOD_US)),
        }
    share = requests.get("cpu", limits.get("cpu"))
    if share is not None:
        found["CpuShares"] = min(_MAX_SHARES, max(_MIN_SHARES, int(parse_quantity(share) * 1024)))
    return found
