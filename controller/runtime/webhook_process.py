"""The process of the role `webhook` alone: strangers reach it, so that it has no other role, and no object store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from controller.api.metrics import ApiMetrics
from controller.api.server import serve
from controller.api.streaming.watch_cache import WatchCache
from controller.kube import KubeClient, KubeconfigError, connect
from controller.runtime.keys import load_webhook_key
from controller.runtime.kubernetes import may_read_metrics, reviewing_authenticator, wait_for_kubernetes
from controller.runtime.listeners import open_listener, url_of
from controller.settings import Settings, SettingsError

if TYPE_CHECKING:
    from controller.webhooks.service import WebhookService

log = logging.getLogger("c8s.webhooks")


def register_webhook_metrics(metrics: ApiMetrics, service: WebhookService) -> None:
    """Expose the number of deliveries."""
    metrics.add_counter(
        "c8s_webhook_deliveries", "Deliveries of forges, by provider and outcome.", "delivery", service.deliveries
    )


async def run_receiver(settings: Settings) -> int:
    """Run until stopped; the exit code: 1 when a part failed. Raises SettingsError."""
    assert settings.webhook_key_file is not None, "the settings require it for this role"
    key = load_webhook_key(settings.webhook_key_file)
    from controller.webhooks.service import WebhookService

    async with contextlib.AsyncExitStack() as leaving:
        listening = leaving.enter_context(open_listener(settings))
        try:
            client = await leaving.enter_async_context(connect(settings.kubeconfig))
        except KubeconfigError as error:
            raise SettingsError(str(error)) from error
        stop = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        base = settings.webhook_url or settings.public_url or url_of(listening)
        service = WebhookService(client, key, base)
        pages = ReceiverPages(service, client)
        log.info("the receiver starts", extra={"url": base})
        failed = False
        try:
            async with asyncio.TaskGroup() as group:
                server = group.create_task(serve(pages, listening, WatchCache(), stop))
                behind = group.create_task(_run_service(service, client))
                await stop.wait()
                await server
                behind.cancel()
        except* Exception as errors:
            log.critical("the receiver failed, so the process ends", exc_info=errors)
            failed = True
    return 1 if failed else 0


async def _run_service(service: WebhookService, client: KubeClient) -> None:
    await wait_for_kubernetes(client, lambda _: None)
    await service.run()


class ReceiverPages:
    """The receiver with the pages for probes and metrics beside it."""

    def __init__(self, service: WebhookService, client: KubeClient) -> None:
        self._service = service
        self._client = client
        self._metrics = ApiMetrics()
        register_webhook_metrics(self._metrics, service)
        self._authenticator = reviewing_authenticator(client)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"] if scope["method"] in ("GET", "HEAD") else ""
        if path == "/healthz":
            await _respond(send, 200, b"ok\n")
        elif path == "/readyz":
            problem = self._service.not_ready_reason()
            await _respond(send, 503 if problem else 200, f"{problem or 'ok'}\n".encode())
        elif path == "/metrics":
            allowed = await self._may_read_metrics(dict(scope["headers"]))
            await _respond(send, 200 if allowed else 403, self._metrics.text() if allowed else b"forbidden\n")
        else:
            await self._service.app(scope, receive, send)

    async def _may_read_metrics(self, headers: Mapping[bytes, bytes]) -> bool:
        word, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return word.lower() == "bearer" and bool(token) and await may_read_metrics(self._authenticator, token)


async def _respond(send: Callable[[Any], Awaitable[None]], status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
