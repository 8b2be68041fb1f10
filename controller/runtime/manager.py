"""The composition root: Kubernetes client, object store, log collector, operator and API in one task group.

Every runnable runs until the process is stopped. One that ends earlier, or fails, ends the process: it has no state of
its own, so that a restart is always a correct recovery.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from controller.api.auth.authenticator import Tickets
from controller.api.deferred_app import App, DeferredApp
from controller.api.metrics import ApiMetrics
from controller.api.readiness import Readiness
from controller.api.serializers import phase_of
from controller.api.server import serve
from controller.api.streaming.watch_cache import Kind, WatchCache
from controller.capability import verify
from controller.kube import PIPELINE_RUNS, Informer, KubeClient, KubeconfigError, connect
from controller.metrics.loop_watchdog import LoopWatchdog
from controller.provenance import CreatorProofs, derive_webhook_key
from controller.run_types.summary import RUNS_PAGE_SIZE, summarize_run
from controller.runtime.deferred_imports import DeferredImports, import_all
from controller.runtime.keys import load_agent_key
from controller.runtime.kubernetes import may_read_metrics, reviewing_authenticator, wait_for_kubernetes
from controller.runtime.late_dashboard import LateDashboard
from controller.runtime.late_modules import API, OPERATOR, REST, late_modules
from controller.runtime.listeners import (
    open_admission_listener,
    open_listener,
    open_operator_listener,
    operator_address,
    url_of,
)
from controller.runtime.path_switch import PathSwitch
from controller.runtime.supervision import RunnableFailedError, supervise
from controller.runtime.webhook_process import register_webhook_metrics, run_receiver
from controller.settings import SecretFile, Settings, SettingsError
from controller.storage import ObjectStore, StorageError, open_store
from controller.storage.probe import StoreProbe

if TYPE_CHECKING:
    from fastapi import FastAPI

    from controller.api.gate_watch import GateWatch
    from controller.api.state import AppState
    from controller.log_relay import LogMirror
    from controller.logs import LogHub
    from controller.webhooks.service import WebhookService

LEASE = "c8s-operator"
_KINDS: Mapping[str, Kind] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}

_PROBE_SECONDS = 0.25
"""How long the process waits, once the runs are listed, for a probe before it imports these: so a probe in time gets
its answer first."""

log = logging.getLogger("c8s")


async def run(settings: Settings, environment: Mapping[str, str]) -> int:
    """Runs the process; the exit code. Raises SettingsError for settings that can't be used."""
    if settings.roles == {"webhook"}:
        return await run_receiver(settings)
    assert settings.agent_key_file is not None, "the settings require it for these roles"
    key = load_agent_key(settings.agent_key_file)
    if settings.auth_proxy is not None and "api" in settings.roles:
        SecretFile(settings.auth_proxy.secret_file).load()
    if settings.listen_fd is None:
        # Nobody connects to a socket that is not there yet: what listens can answer every request.
        for names in late_modules(settings).values():
            import_all(names)
    async with contextlib.AsyncExitStack() as leaving:
        listening = leaving.enter_context(open_listener(settings)) if "api" in settings.roles else None
        own = leaving.enter_context(bound) if (bound := open_operator_listener(settings)) is not None else None
        admission = leaving.enter_context(bound) if (bound := open_admission_listener(settings)) is not None else None
        url = settings.public_url or (url_of(listening) if listening is not None else None)
        if url is None:
            raise SettingsError("--public-url is required where the role api runs elsewhere: agents are sent there")
        try:
            store = open_store(
                settings.store,
                signing_key=key,
                public_url=url,
                agent_url=settings.agent_url or url,
                environment=environment,
            )
            leaving.push_async_callback(store.close)
            client = await leaving.enter_async_context(connect(settings.kubeconfig))
        except (StorageError, KubeconfigError) as error:
            raise SettingsError(str(error)) from error
        stop = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        return await Manager(settings, client, store, key, url, stop).run(listening, own, admission)


class Manager:
    """The parts and what they share."""

    def __init__(
        self, settings: Settings, client: KubeClient, store: ObjectStore, key: bytes, url: str, stop: asyncio.Event
    ) -> None:
        self._settings = settings
        self._client = client
        self._store = store
        self._key = key
        self._url = url
        self._stop = stop
        # On an inherited socket, requests wait until the process can answer them, and so may those for the API.
        self._is_deferred = settings.listen_fd is not None
        self._imports = DeferredImports(late_modules(settings))
        self._readiness = Readiness()
        self._metrics = ApiMetrics()
        self._watchdog = LoopWatchdog()
        self._history = WatchCache()
        self._runs = Informer(client, PIPELINE_RUNS, page_size=RUNS_PAGE_SIZE, transform=summarize_run)
        self._authenticator = reviewing_authenticator(client)
        self._is_leader: Callable[[], bool] = lambda: False
        self._operator_address = ""
        self._admission_socket: socket.socket | None = None
        elsewhere = "operator" not in settings.roles or (settings.leader_elect and settings.operator_port is not None)
        self._mirror = self._log_mirror() if elsewhere else None
        self._watch_runs()

    async def run(
        self,
        api_socket: socket.socket | None,
        operator_socket: socket.socket | None = None,
        admission_socket: socket.socket | None = None,
    ) -> int:
        """Run until stopped; returns the exit code: 1 when a runnable failed.

        Args:
            api_socket: where the API is served, if this process has that role.
            operator_socket: where the operator's own port is served, if there is one.
            admission_socket: where the admission webhook is served, if it is.
        """
        self._admission_socket = admission_socket
        log.info("the controller starts", extra={"roles": sorted(self._settings.roles), "url": self._url})
        self._readiness.set_waiting("kubernetes", "not asked yet")
        self._readiness.set_waiting("store", "not asked yet")
        if not self._is_deferred and "operator" in self._settings.roles:
            self._readiness.add_check("operator", lambda: "it has not started yet")
        failed = False
        try:
            with self._watchdog:
                await self._run_parts(api_socket, operator_socket)
        except* RunnableFailedError:
            failed = True
        if failed:
            return 1
        log.info("the controller has stopped")
        return 0

    async def _run_parts(self, api_socket: socket.socket | None, operator_socket: socket.socket | None) -> None:
        async with asyncio.TaskGroup() as group:
            serving = {"api": self._api_server(api_socket)} if api_socket is not None else {}
            if operator_socket is not None:
                serving["the operator's port"] = self._operator_server(operator_socket)
            servers = [group.create_task(supervise(name, each, self._stop)) for name, each in serving.items()]
            behind = [
                group.create_task(self._run_dependents()),
                group.create_task(self._import_late()),
                group.create_task(StoreProbe(self._store, self._report_store).run()),
                group.create_task(self._store.start()),
            ]
            await self._stop.wait()
            if "_gates" in self.__dict__:
                self._gates.close()
            for server in servers:
                await server
            for task in behind:
                task.cancel()

    def _report_store(self, reason: str | None) -> None:
        if reason is None:
            self._readiness.set_ready("store")
        else:
            self._readiness.set_waiting("store", reason)

    async def _run_dependents(self) -> None:
        """Run what needs Kubernetes, once it answers. Until then the API is served and reports that it is not ready."""
        await wait_for_kubernetes(self._client, lambda problem: self._readiness.set_waiting("kubernetes", problem))
        self._readiness.set_ready("kubernetes")
        async with asyncio.TaskGroup() as group:
            for name, part in self._runnables().items():
                group.create_task(supervise(name, part(), self._stop), name=name)
            group.create_task(self._request_imports(), name="imports")

    def _runnables(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What runs once Kubernetes answers, by name."""
        runnables: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "runs": self._runs.run,
        }
        if "api" in self._settings.roles:
            runnables["gates"] = self._watch_gates
        if self._mirror is not None and "api" in self._settings.roles:
            runnables["live"] = self._mirror.run
        if "operator" in self._settings.roles:
            runnables["operator"] = self._operate
        if "webhook" in self._settings.roles:
            runnables["webhooks"] = self._receive_webhooks
        if self._admission_socket is not None:
            runnables["admission"] = self._review_writes
        return runnables

    @cached_property
    def _gates(self) -> "GateWatch":
        """Only to be used once the late modules are imported."""
        from controller.api.gate_watch import GateWatch

        return GateWatch(self._client)

    async def _watch_gates(self) -> None:
        await self._imports.wait(API)
        await self._gates.run()

    async def _import_late(self) -> None:
        """Import the late modules when they are requested."""
        if not self._is_deferred:
            self._imports.request(all_at_once=True)

        async def run() -> None:
            await self._imports.run()
            await self._stop.wait()

        await supervise("the imports", run(), self._stop)

    async def _request_imports(self) -> None:
        """Request the late modules, once the process has had the time to report that it is ready."""
        await self._runs.wait_for_sync()
        await asyncio.sleep(_PROBE_SECONDS)
        self._imports.request()

    @cached_property
    def _webhooks(self) -> "WebhookService":
        """Only to be used once the late modules are imported."""
        from controller.webhooks.service import WebhookService

        return WebhookService(self._client, derive_webhook_key(self._key), self._settings.webhook_url or self._url)

    async def _receive_webhooks(self) -> None:
        await self._imports.wait(API)
        register_webhook_metrics(self._metrics, self._webhooks)
        if not self._is_deferred:
            self._readiness.add_check("webhooks", self._webhooks.not_ready_reason)
        await self._webhooks.run()

    async def _review_writes(self) -> None:
        """Serve the admission webhook, after what is needed for more."""
        await self._imports.wait(REST)
        from controller.runtime.admission_runner import run_admission

        assert self._admission_socket is not None
        await run_admission(self._client, self._runs, self._settings, self._admission_socket, self._metrics)

    @cached_property
    def _hub(self) -> "LogHub":
        from controller.logs import LogHub

        return LogHub()

    def _log_mirror(self) -> "LogMirror":
        from controller.log_relay import LogMirror, derive_relay_key

        return LogMirror(self._store, self._leader_address, derive_relay_key(self._key))

    async def _operate(self) -> None:
        await self._imports.wait(OPERATOR)
        from controller.runtime.operator_runner import OperatorConnection, OperatorRunner

        runner = OperatorRunner(
            self._client,
            self._store,
            self._settings,
            OperatorConnection(self._url, self._key, self._operator_address, LEASE),
            self._runs,
            self._hub,
            self._metrics,
        )
        self._is_leader = lambda: runner.is_leader and not self._stop.is_set()
        # On an inherited socket, a process that was ready does not become unready by the start of its operator.
        self._readiness.add_check("operator", runner.readiness_check(was_healthy=not self._is_deferred))
        await runner.run()

    def _operator_server(self, listening: socket.socket) -> Coroutine[Any, Any, None]:
        """Serve the operator's own port; its address is in the leader's Lease."""
        from controller.log_relay import OperatorServer, derive_relay_key

        self._operator_address = operator_address(self._settings, listening)
        server = OperatorServer(
            hub=self._hub,
            key=derive_relay_key(self._key),
            address=self._operator_address,
            readiness=self._readiness,
            is_leader=lambda: self._is_leader(),
            metrics=self._metrics.text,
            may_read_metrics=lambda token: may_read_metrics(self._authenticator, token),
        )
        return serve(server.app(), listening, self._history, self._stop)

    async def _leader_address(self) -> str:
        from controller.log_relay import leader_address

        return await leader_address(self._client, self._settings.own_namespace, LEASE)

    def _api_server(self, listening: socket.socket) -> Coroutine[Any, Any, None]:
        app = DeferredApp(self._load_api, self._readiness, self._imports.request)
        return serve(app, listening, self._history, self._stop)

    async def _load_api(self) -> App:
        self._imports.request()
        await self._imports.wait(API)
        from controller.api.app import create_app

        state = self._app_state()
        create = partial(create_app, state)
        api = self._dashboard(state).add_to(create) if self._settings.dashboard else create()
        if "webhook" not in self._settings.roles:
            return api
        return PathSwitch("/webhooks/", self._webhooks.app, api)

    def _dashboard(self, state: "AppState") -> LateDashboard:
        def install(app: "FastAPI") -> None:
            from controller.dashboard.install import install_dashboard

            install_dashboard(app, state, self._key, self._settings.auth_proxy)

        return LateDashboard(self._imports, install)

    def _app_state(self) -> "AppState":
        from controller.api.http.middleware import host_name
        from controller.api.state import ApiSettings, AppState
        from controller.logs import LogReader

        clock = time.monotonic
        return AppState(
            client=self._client,
            runs=self._runs,
            watch_cache=self._history,
            logs=LogReader(self._mirror or self._hub, self._store),
            store=self._store,
            authenticator=self._authenticator,
            tickets=Tickets(clock),
            settings=ApiSettings(
                public_url=self._url,
                # Agents and links use the public URL, so that its host is allowed.
                allowed_hosts=self._settings.allowed_hosts
                | {host_name(urlsplit(each).netloc) for each in (self._url, self._settings.agent_url) if each},
                allowed_origins=self._settings.allowed_origins,
                source_limit=self._settings.source_limit,
                cache_limit=self._settings.cache_limit,
                workspace_limit=self._settings.workspace_limit,
                run_artifacts_limit=self._settings.run_artifacts_limit,
                namespace_caches_limit=self._settings.namespace_caches_limit,
                namespace_sources_limit=self._settings.namespace_sources_limit,
                namespace_workspaces_limit=self._settings.namespace_workspaces_limit,
                default_branches=self._settings.default_branches,
            ),
            readiness=self._readiness,
            metrics=self._metrics,
            capability=lambda token: verify(self._key, token, now=time.time()),
            creator_proofs=CreatorProofs(self._key),
            kubernetes_version=self._kubernetes_version,
            gates=self._gates,
        )

    async def _kubernetes_version(self) -> str | None:
        return (await self._client.version()).get("gitVersion")

    def _watch_runs(self) -> None:
        """Feed the watch cache, readiness and metrics from the informer of runs."""
        self._runs.on_sync(self._history.mark_synced)
        self._runs.on_change(lambda kind, old, new: self._history.record(_KINDS[kind], new or old or {}))
        self._readiness.add_check("runs", self._runs_not_ready_reason)
        self._metrics.add_histogram(self._watchdog.blocked)
        self._metrics.add_gauge(
            "c8s_event_loop_longest_block_seconds",
            "The longest time in which the event loop served nobody.",
            "loop",
            lambda: {"main": self._watchdog.longest},
        )
        self._metrics.add_gauge(
            "c8s_runs", "Runs by phase.", "phase", lambda: Counter(phase_of(each) for each in self._runs.list())
        )

    def _runs_not_ready_reason(self) -> str | None:
        if not self._history.is_synced:
            return "the runs have not been listed yet"
        return None if self._runs.healthy else "the watch of the runs is not up to date"
