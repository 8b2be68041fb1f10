"""Serves the webhook over TLS, with a certificate that is renewed while it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import ssl
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from controller.admission.active_runs import ActiveRuns
from controller.admission.certificates import Certificate, CertificateStore
from controller.admission.checks import AdmissionChecks
from controller.admission.registration import PATH, TIMEOUT_SECONDS, Address, register
from controller.admission.review import ReviewError, read_request, response
from controller.kube import Informer, KubeClient, KubeError

if TYPE_CHECKING:
    from aiohttp import web

CHECK_SECONDS = 300.0
"""How often certificate and configuration are looked at."""
MAX_BODY_BYTES = 12 * 1024 * 1024
"""An object and the one before, of at most 3 MiB each, and what JSON adds."""
MAX_REQUESTS = 64
_FIRST_RETRY, _MAX_RETRY = 0.5, 30.0
_log = logging.getLogger("c8s.admission")


class AdmissionServer:
    """Runs beside the API.

    Args:
        runs: an informer on PipelineRuns, which the caller runs.
        listening: the socket, which is served until `run` is cancelled.
    """

    def __init__(
        self, client: KubeClient, runs: Informer, store: CertificateStore, address: Address, listening: socket.socket
    ) -> None:
        self._client = client
        self._store = store
        self._address = address
        self._listening = listening
        self._checks = AdmissionChecks(client, ActiveRuns(runs.list, time.monotonic))
        self._requests = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._shown = ""
        self.counts: Counter[str] = Counter()
        """Reviews by outcome."""

    async def run(self) -> None:
        """Serve until cancelled. It is registered with the API server once it is served."""
        from aiohttp import web

        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=TIMEOUT_SECONDS)
        is_served, retry = False, _FIRST_RETRY
        try:
            while True:
                try:
                    certificate = await self._store.ensure()
                    self._show(certificate)
                    if not is_served:
                        await runner.setup()
                        await web.SockSite(runner, self._listening, ssl_context=self._context).start()
                        is_served = True
                    await register(self._client, self._address, certificate.trusted)
                except KubeError as error:
                    _log.warning("the admission webhook is not registered: %s", error)
                    await asyncio.sleep(retry)
                    retry = min(retry * 2, _MAX_RETRY)
                else:
                    retry = _FIRST_RETRY
                    await asyncio.sleep(CHECK_SECONDS)
        finally:
            await runner.cleanup()

    def _show(self, certificate: Certificate) -> None:
        """Use a certificate for connections from now on."""
        if self._shown == certificate.certificate:
            return
        # The library reads files only.
        with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
            shown, key = Path(folder) / "crt", Path(folder) / "key"
            for file, text in ((shown, certificate.certificate), (key, certificate.private_key)):
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as opened:
                    opened.write(text)
            self._context.load_cert_chain(shown, key)
        self._shown = certificate.certificate

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        from aiohttp import web

        if request.path != PATH or request.method != "POST":
            return web.Response(status=404, text="there is no such path\n")
        if self._requests >= MAX_REQUESTS:
            return web.Response(status=503, text="too many reviews at once\n")
        self._requests += 1
        try:
            return await self._review(request)
        except Exception:
            # The boundary: one review must not end the server, and a failed one is ignored by the API server.
            _log.exception("a review failed")
            self.counts["failed"] += 1
            return web.Response(status=500, text="the review failed; see the log of the controller\n")
        finally:
            self._requests -= 1

    async def _review(self, request: web.BaseRequest) -> web.Response:
        from aiohttp import web

        data = b""
        async for chunk in request.content.iter_chunked(65_536):
            data += chunk
            if len(data) > MAX_BODY_BYTES:
                return web.Response(status=413, text="the review is too large\n")
        try:
            asked = read_request(json.loads(data))
        except (ValueError, RecursionError, ReviewError) as error:
            self.counts["malformed"] += 1
            return web.Response(status=400, text=f"{error}\n"[:500])
        decision = await self._checks.decide(asked)
        self.counts["refused" if decision.problems else "allowed"] += 1
        return web.json_response(response(asked.uid, decision))
