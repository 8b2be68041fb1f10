"""Runs the operator with its log collector; where replicas elect a leader, only while this one leads."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from controller import labels
from controller.api.metrics import ApiMetrics
from controller.forges.clone_tokens import AppCloneTokens
from controller.forges.delivery_outcomes import DeliveryOutcomes
from controller.forges.reporter import StatusReporter
from controller.forges.secret_access import SecretAccess
from controller.kube import REPOSITORY_CONNECTIONS, Informer, KubeClient, LeaderElector, LeaseTimings
from controller.logs import LogCollector, LogHub
from controller.operator import OperatorSettings, RunController
from controller.run_types.keys import RunId
from controller.runtime.operator_metrics import register_operator_metrics
from controller.runtime.spare_sources import SpareSources
from controller.settings import Settings
from controller.statistics.recorder import StatisticsRecorder
from controller.storage import ObjectStore
from controller.usage.sampler import UsageSampler

_STALE_WATCHES = "its watches are not up to date"


@dataclass(frozen=True)
class OperatorConnection:
    """How others reach the operator's process.

    Attributes:
        api_url: the URL of the API that agents use.
        key: the key that signs their tokens.
        address: the operator's own port, for the APIs of other processes; empty for none.
        lease: the name of the leader's Lease, which has that address.
    """

    api_url: str
    key: bytes
    address: str
    lease: str


class OperatorRunner:
    """The operator, its log collector and its leader election.

    Args:
        runs: an informer on PipelineRuns, which the caller runs.
        hub: receives the lines of the logs that are collected.
        metrics: where the values of operator and collector are exposed.
    """

    def __init__(
        self,
        client: KubeClient,
        store: ObjectStore,
        settings: Settings,
        connection: OperatorConnection,
        runs: Informer,
        hub: LogHub,
        metrics: ApiMetrics,
    ) -> None:
        archived_logs: asyncio.Queue[RunId] = asyncio.Queue()
        self._collector = LogCollector(
            client,
            store,
            time.monotonic,
            lambda stream: archived_logs.put_nowait(RunId(stream.namespace, stream.run_uid)),
            hub=hub,
            run_limit=settings.log_limit,
        )
        self._connections = Informer(client, REPOSITORY_CONNECTIONS)
        self._secret_access = (
            SecretAccess(client, self._connections, settings.webhook_account, settings.own_namespace)
            if settings.webhook_account
            else None
        )
        self._delivery_outcomes = DeliveryOutcomes(client, runs, self._connections)
        self._statistics = StatisticsRecorder(client, store, runs)
        self._reporter = StatusReporter(client, runs, _run_page(settings, connection))
        self._elector = _leader_elector(client, settings, connection) if settings.leader_elect else None
        self._usage = UsageSampler(client, runs, lambda key: self._operator.reconcile_soon(key))
        self._operator = RunController(
            client,
            self._collector,
            store,
            _operator_settings(settings, connection),
            runs=runs,
            archived_logs=archived_logs,
            is_leader=lambda: self._elector is None or self._elector.holds_lease,
            clone_tokens=AppCloneTokens(client),
            usage=self._usage.of_run,
        )
        self._spares = SpareSources(client, store, runs, settings.agent_command) if settings.spare_sources else None
        register_operator_metrics(metrics, self._operator, self._collector)
        metrics.add_counter(
            "c8s_forge_reports", "Commit statuses that were sent to forges.", "outcome", lambda: self._reporter.counts
        )

    @property
    def is_leader(self) -> bool:
        """Whether this process may run the operator now."""
        return self._elector is None or self._elector.is_leader

    def readiness_check(self, *, was_healthy: bool) -> Callable[[], str | None]:
        """Returns why the operator is not ready; None if it is.

        Args:
            was_healthy: whether watches that are not up to date yet count. Otherwise they do from when they once were.
        """
        if self._elector is not None:
            # A replica that is not the leader has nothing to be ready for.
            return lambda: _STALE_WATCHES if self.is_leader and not self._operator.healthy else None

        def why_not() -> str | None:
            nonlocal was_healthy
            was_healthy = was_healthy or self._operator.healthy
            return _STALE_WATCHES if was_healthy and not self._operator.healthy else None

        return why_not

    async def run(self) -> None:
        """Run until cancelled."""
        if self._elector is None:
            await self._operate()
        else:
            await self._elector.run(self._operate)

    async def _operate(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collector.run(), name="logs")
            group.create_task(self._operator.run(), name="reconcile")
            group.create_task(self._reporter.run(), name="forges")
            group.create_task(self._statistics.run(), name="statistics")
            group.create_task(self._usage.run(), name="usage")
            group.create_task(self._connections.run(), name="connections")
            group.create_task(self._delivery_outcomes.run(), name="deliveries")
            if self._spares is not None:
                group.create_task(self._spares.run(), name="spare sources")
            if self._secret_access is not None:
                group.create_task(self._secret_access.run(), name="receiver's rights")


def _run_page(settings: Settings, connection: OperatorConnection) -> Callable[[str, str], str]:
    template = settings.run_url or f"{connection.api_url}/api/v1/namespaces/{{namespace}}/runs/{{run}}"
    return lambda namespace, run: template.replace("{namespace}", namespace).replace("{run}", run)


def _leader_elector(client: KubeClient, settings: Settings, connection: OperatorConnection) -> LeaderElector:
    return LeaderElector(
        client,
        settings.own_namespace,
        connection.lease,
        f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        timings=LeaseTimings.from_lease_duration(settings.lease_duration),
        annotations={labels.ADDRESS: connection.address},
    )


def _operator_settings(settings: Settings, connection: OperatorConnection) -> OperatorSettings:
    return OperatorSettings(
        agent_command=settings.agent_command,
        agent_api_url=settings.agent_url or connection.api_url,
        agent_key=connection.key,
        agent_image=settings.agent_image,
        step_agents=settings.step_agents,
        prestart=settings.prestart,
        queue=settings.queue,
        watch_retention=settings.watch_retention,
        pod_security=settings.pod_security,
        own_namespace=settings.own_namespace,
    )
