"""The cluster, its health, and the names of its secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SecretNames:
    """A secret's name and its keys. Values never leave the controller."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    runtime: str
    images: str
    """`used` or `ignored`: whether steps run in their container images."""
    version: str
    namespaces: tuple[str, ...]

    @property
    def ignores_images(self) -> bool:
        return self.images == "ignored"


@dataclass(frozen=True)
class ComponentHealth:
    """A component of the controller, such as its object store; `message` says what it is waiting for."""

    name: str
    ready: bool
    message: str | None


@dataclass(frozen=True)
class Quota:
    """One limit of a ResourceQuota, as Kubernetes quantities."""

    name: str
    resource: str
    used: str
    hard: str


@dataclass(frozen=True)
class Pod:
    """A pod of a step."""

    name: str
    step: str | None
    run: str | None
    phase: str
    node: str | None
    started_at: datetime | None


@dataclass(frozen=True)
class Health:
    """The state of a namespace. `oldest_wait_seconds` is how long the first queued run has been waiting."""

    components: tuple[ComponentHealth, ...]
    queued_runs: int
    oldest_wait_seconds: float | None
    quotas: tuple[Quota, ...]
    pods: tuple[Pod, ...]
