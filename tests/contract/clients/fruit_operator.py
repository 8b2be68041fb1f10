"""An operator of kopf for the kind Fruit: it makes a ConfigMap per Fruit, ripens it by a timer, and cleans up.

It acts through pykube-ng, as the examples of kopf do.
"""

from __future__ import annotations

from typing import Any

import kopf
import pykube


def _client() -> pykube.HTTPClient:
    return pykube.HTTPClient(pykube.KubeConfig.from_env())


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


@kopf.on.login()
def login(**options: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**options)


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.loggers = True
    settings.persistence.finalizer = "kopf.example.com/finalizer"


@kopf.on.create("kopf.example.com", "v1", "fruits")
def create(body: kopf.Body, spec: kopf.Spec, name: str, namespace: str, patch: kopf.Patch, **_: Any) -> dict[str, str]:
    jam = {**_metadata(f"{name}-jam", namespace), "data": {"taste": spec["taste"]}}
    kopf.adopt(jam)
    pykube.ConfigMap(_client(), jam).create()
    patch.status["phase"] = "Planted"
    kopf.info(body, reason="Planted", message=f"{name} was planted")
    return {"jam": f"{name}-jam"}


@kopf.on.update("kopf.example.com", "v1", "fruits", field="spec.taste")
def update(new: str, name: str, namespace: str, **_: Any) -> None:
    pykube.ConfigMap(_client(), _metadata(f"{name}-jam", namespace)).patch({"data": {"taste": new}})


@kopf.on.delete("kopf.example.com", "v1", "fruits")
def delete(name: str, namespace: str, retry: int, **_: Any) -> None:
    if retry == 0:
        raise kopf.TemporaryError("not yet", delay=0.1)
    pykube.ConfigMap(_client(), _metadata(f"{name}-compost", namespace)).create()


@kopf.timer("kopf.example.com", "v1", "fruits", interval=0.2)
def ripen(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    patch.status["days"] = status.get("days", 0) + 1
