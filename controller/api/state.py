"""The state that routes share: clients, caches, the clock and the settings, one per process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import HTTPConnection

from controller.api.artifacts.budgets import StorageBudget, StorageBudgets
from controller.api.auth.authenticator import Authenticator, Tickets
from controller.api.metrics import ApiMetrics
from controller.api.readiness import Readiness
from controller.api.streaming.log_frames import LineEncoder
from controller.api.streaming.watch_cache import WatchCache
from controller.provenance import CreatorProofs
from controller.worker import LimitedWorker

if TYPE_CHECKING:
    from controller.api.gate_watch import GateWaiter
    from controller.kube import KubeClient
    from controller.logs import LogReader
    from controller.operator.cache.run_plan import RunPlan
    from controller.operator.effects.source_files import SourceFiles
    from controller.storage import Download, ObjectStore

MEBIBYTE = 1024 * 1024
MAX_MANIFESTS = 2
"""How many manifests of artifacts are received and checked at a time."""


MAX_REPORTS = 2
"""How many attempts' reports of tests are received and read at a time: as many as their worker has processes."""


class RunCache(Protocol):
    """The informer's cache of PipelineRuns; its objects must not be changed."""

    def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """One run; None if the cache does not know it (yet)."""
        ...

    def list(self, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        """The runs of a namespace, or all of them."""
        ...


@dataclass(frozen=True)
class ApiSettings:
    """Names and limits of the API.

    `public_url` is the base URL under which agents and signed URLs reach this API; sizes are bytes.
    """

    public_url: str = "http://127.0.0.1:8080"
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    source_limit: int = 1024 * MEBIBYTE
    artifact_limit: int = 2048 * MEBIBYTE
    cache_limit: int = 1024 * MEBIBYTE
    workspace_limit: int = 512 * MEBIBYTE
    run_artifacts_limit: int = 10 * 1024 * MEBIBYTE
    namespace_caches_limit: int = 10 * 1024 * MEBIBYTE
    namespace_sources_limit: int = 20 * 1024 * MEBIBYTE
    namespace_workspaces_limit: int = 10 * 1024 * MEBIBYTE
    link_seconds: int = 900
    default_branches: tuple[str, ...] = ("main", "master")
    idle_seconds: float = 30.0
    heartbeat_seconds: float = 15.0


class Capability(Protocol):
    """The agent that a token is for: of an attempt of a step of the run with this uid."""

    @property
    def namespace(self) -> str: ...
    @property
    def run(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def slug(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def role(self) -> str: ...


@dataclass
class KeyedLock:
    """A lock that exists while it is held or waited for: of the next number, or of one Idempotency-Key."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiters: int = 0


@dataclass
class AppState:
    """Everything that a route may use. `capability` returns what an agent's token is for, None for an invalid one.

    `creator_proofs` shows the operator, and later requests, which runs this API created, and for whom.
    """

    client: "KubeClient"
    runs: RunCache
    watch_cache: WatchCache
    logs: "LogReader"
    store: "ObjectStore"
    authenticator: Authenticator
    tickets: Tickets
    settings: ApiSettings
    readiness: Readiness
    metrics: ApiMetrics
    capability: Callable[[str], "Capability | None"]
    creator_proofs: CreatorProofs
    kubernetes_version: Callable[[], Awaitable[str | None]]
    gates: "GateWaiter"
    encoder: LineEncoder = field(default_factory=LineEncoder)
    wall_clock: Callable[[], float] = time.time
    new_request_id: Callable[[], str] = field(default=lambda: token_hex(8))
    manifest_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_MANIFESTS))
    locks: dict[tuple[str, str], KeyedLock] = field(default_factory=dict)
    worker: LimitedWorker = field(default_factory=LimitedWorker)
    report_worker: LimitedWorker = field(default_factory=LimitedWorker)
    """Reads reports of tests."""
    report_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_REPORTS))
    plans: "dict[str, RunPlan]" = field(default_factory=dict)
    """The plans of runs whose agents have called, by uid; the oldest are dropped."""
    namespace_uids: dict[str, str] = field(default_factory=dict)
    """The uids of the namespaces of runs, by the uid of the run; the oldest are dropped."""

    budgets: StorageBudgets = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        budget = partial(StorageBudget, self.store, promise_seconds=settings.link_seconds)
        self.budgets = StorageBudgets(
            artifacts=budget(
                "the artifacts of the run", "--run-artifacts-limit-mib", settings.run_artifacts_limit, depth=3
            ),
            caches=budget(
                "the caches of the namespace", "--namespace-caches-limit-mib", settings.namespace_caches_limit, depth=3
            ),
            sources=budget(
                "the sources of the namespace",
                "--namespace-sources-limit-mib",
                settings.namespace_sources_limit,
                depth=None,
            ),
            workspaces=budget(
                "the saved workspaces of the namespace",
                "--namespace-workspaces-limit-mib",
                settings.namespace_workspaces_limit,
                depth=2,
            ),
        )

    @cached_property
    def source_files(self) -> "SourceFiles":
        """The files of stored sources, of which the last are remembered."""
        from controller.operator.effects.source_files import SourceFiles

        return SourceFiles(self.client, self.store, self.utc_now)

    async def signed_url(self, key: str, *, external: bool = False, download: "Download | None" = None) -> str:
        """A short-lived URL to GET an object; `external`: for a user, not for a pod."""
        lifetime = timedelta(seconds=self.settings.link_seconds)
        return await self.store.presign(key, lifetime, external=external, download=download)

    async def upload_link(self, key: str, size: int, sha256: str) -> dict[str, Any]:
        """A short-lived link to upload these bytes for an object, as an agent receives it."""
        lifetime = timedelta(seconds=self.settings.link_seconds)
        link = await self.store.presign_upload(key, size, sha256, lifetime)
        return {"url": link.url, "headers": dict(link.headers)}

    def utc_now(self) -> datetime:
        """The wall clock."""
        return datetime.fromtimestamp(self.wall_clock(), UTC)


def get_state(connection: HTTPConnection) -> AppState:
    """The state of the app that serves this request."""
    found = connection.app.state.api_state
    assert isinstance(found, AppState)
    return found
