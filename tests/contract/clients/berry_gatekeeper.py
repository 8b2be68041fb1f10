"""An operator of kopf that admits no bitter Berry; CERTIFICATE and KEY name the files of its HTTPS server."""

from __future__ import annotations

import os
from typing import Any

import kopf


@kopf.on.login()
def login(**options: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**options)


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.admission.managed = "berries.kopf.example.com"
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1", certfile=os.environ["CERTIFICATE"], pkeyfile=os.environ["KEY"]
    )


@kopf.on.validate("kopf.example.com", "v1", "berries")
def check(spec: kopf.Spec, warnings: list[str], dryrun: bool, operation: str, **_: Any) -> None:
    warnings.append(f"{operation} {'tried' if dryrun else 'checked'}")
    if spec["taste"] == "bitter":
        raise kopf.AdmissionError("bitter berries are not admitted", code=422)
