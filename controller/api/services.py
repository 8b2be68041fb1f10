"""What the routes are given: the other rooms' doors, the clock and the settings, in one value per process."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import HTTPConnection

from controller.api.auth import Authenticator, Tickets
from controller.api.health import Readiness
from controller.api.history import History
from controller.api.metrics import Meter

if TYPE_CHECKING:
    from controller.kube import KubeClient
    from controller.logs import LogReader
    from controller.storage import ObjectStore

MEBIBYTE = 1024 * 1024


class RunCache(Protocol):
    """The cache of PipelineRuns that the informer keeps; what it gives is read, never changed."""

    def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """One run, or None when the cache does not (yet) know it."""
        ...

    def list(self, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        """The runs of a namespace, or all of them."""
        ...


@dataclass(frozen=True)
class ApiSettings:
    """Names and limits. `public_url` is the base under which agents and signed links reach this API; sizes
    are bytes.
    """

    public_url: str = "http://127.0.0.1:8080"
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    source_limit: int = 1024 * MEBIBYTE
    artifact_limit: int = 2048 * MEBIBYTE
    link_seconds: int = 900
    idle_seconds: float = 30.0
    heartbeat_seconds: float = 15.0


@dataclass
class Turn:
    """The queue of requests that carry one Idempotency-Key."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted_by: int = 0


@dataclass
class Services:
    """Everything a route may use."""

    client: "KubeClient"
    runs: RunCache
    history: History
    logs: "LogReader"
    store: "ObjectStore"
    authenticator: Authenticator
    tickets: Tickets
    agent_key: bytes
    settings: ApiSettings
    readiness: Readiness
    meter: Meter
    now: Callable[[], float]
    turns: dict[tuple[str, str], Turn] = field(default_factory=dict)


def services_of(connection: HTTPConnection) -> Services:
    """The services of the app that serves this request."""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found
