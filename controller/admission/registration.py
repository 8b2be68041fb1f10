"""The ValidatingWebhookConfiguration, which tells the API server where the webhook is and whom to trust."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller import labels
from controller.admission.checks import resources
from controller.kube import VALIDATING_WEBHOOKS, AlreadyExistsError, KubeClient, NotFoundError

Json = dict[str, Any]

NAME = "c8s"
PATH = "/validate"
TIMEOUT_SECONDS = 5
_FIELDS = ("name", "clientConfig", "rules", "failurePolicy", "sideEffects", "admissionReviewVersions", "timeoutSeconds")


@dataclass(frozen=True)
class Address:
    """Where the API server reaches the webhook: a Service, or where there is none a URL."""

    url: str = ""
    service: str = ""
    namespace: str = ""

    def client_config(self, trusted: str) -> Json:
        """The `clientConfig` of a webhook. `trusted`: certificates in PEM."""
        bundle = {"caBundle": base64.b64encode(trusted.encode()).decode()}
        if self.url:
            return {"url": self.url + PATH, **bundle}
        service = {"namespace": self.namespace, "name": self.service, "path": PATH, "port": 443}
        return {"service": service, **bundle}


def webhooks(address: Address, trusted: str) -> list[Json]:
    """The webhooks of the configuration, one for each kind, so that a refusal names it."""
    return [
        {
            "name": f"{resource}.c8s.dev",
            "clientConfig": address.client_config(trusted),
            "rules": [
                {
                    "apiGroups": ["c8s.dev"],
                    "apiVersions": ["v1alpha1"],
                    "resources": [resource],
                    "operations": list(operations),
                    "scope": "Namespaced",
                }
            ],
            # A webhook that is away must not stop anybody: the operator checks all of this again.
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": TIMEOUT_SECONDS,
        }
        for resource, operations in resources()
    ]


async def register(client: KubeClient, address: Address, trusted: str) -> None:
    """Have the API server ask the webhook. Raises KubeError."""
    wanted = webhooks(address, trusted)
    try:
        found = await client.get(VALIDATING_WEBHOOKS, NAME)
    except NotFoundError:
        metadata = {"name": NAME, "labels": {labels.MANAGED_BY: labels.MANAGER}}
        try:
            await client.create(VALIDATING_WEBHOOKS, {"metadata": metadata, "webhooks": wanted})
        except AlreadyExistsError:
            # Another replica was quicker; the next look compares the two.
            return
        return
    if [_shown(each) for each in found.get("webhooks") or ()] != wanted:
        await client.update(VALIDATING_WEBHOOKS, {**found, "webhooks": wanted})


def _shown(webhook: Mapping[str, Any]) -> Json:
    """What we set of a webhook, without the defaults that the API server adds."""
    return {name: webhook[name] for name in _FIELDS if name in webhook}
