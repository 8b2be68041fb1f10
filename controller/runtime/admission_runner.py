"""Serves the admission webhook: its address, its certificates, its metrics."""

from __future__ import annotations

import socket

from controller.admission.certificates import CertificateStore
from controller.admission.registration import Address
from controller.admission.server import AdmissionServer
from controller.api.metrics import ApiMetrics
from controller.kube import Informer, KubeClient
from controller.runtime.listeners import url_of
from controller.settings import Settings


async def run_admission(
    client: KubeClient, runs: Informer, settings: Settings, listening: socket.socket, metrics: ApiMetrics
) -> None:
    """Serve on a socket until cancelled. `runs`: for the limit of active runs."""
    namespace, service = settings.own_namespace, settings.admission_service
    if service:
        address = Address(service=service, namespace=namespace)
        store = CertificateStore(client, namespace, [f"{service}.{namespace}.svc"], [])
    else:
        address = Address(url=url_of(listening).replace("http://", "https://", 1))
        store = CertificateStore(client, namespace, ["localhost"], ["127.0.0.1", "::1"])
    server = AdmissionServer(client, runs, store, address, listening)
    metrics.add_counter(
        "c8s_admission_reviews", "Writes that were reviewed, by outcome.", "outcome", lambda: server.counts
    )
    await server.run()
