"""An operator of kopf for the kind Fruit: it makes a ConfigMap per Fruit, ripens it by a timer, and cleans up."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    config.load_kube_config()
    settings.posting.loggers = True
    settings.persistence.finalizer = "kopf.example.com/finalizer"


@kopf.on.create("kopf.example.com", "v1", "fruits")
def create(body: kopf.Body, spec: kopf.Spec, name: str, namespace: str, patch: kopf.Patch, **_: Any) -> dict[str, str]:
    jam = {"metadata": {"name": f"{name}-jam"}, "data": {"taste": spec["taste"]}}
    kopf.adopt(jam)
    client.CoreV1Api().create_namespaced_config_map(namespace, jam)
    patch.status["phase"] = "Planted"
    kopf.info(body, reason="Planted", message=f"{name} was planted")
    return {"jam": f"{name}-jam"}


@kopf.on.update("kopf.example.com", "v1", "fruits", field="spec.taste")
def update(new: str, name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().patch_namespaced_config_map(f"{name}-jam", namespace, {"data": {"taste": new}})


@kopf.on.delete("kopf.example.com", "v1", "fruits")
def delete(name: str, namespace: str, retry: int, **_: Any) -> None:
    if retry == 0:
        raise kopf.TemporaryError("not yet", delay=0.1)
    body = {"metadata": {"name": f"{name}-compost"}}
    client.CoreV1Api().create_namespaced_config_map(namespace, body)


@kopf.timer("kopf.example.com", "v1", "fruits", interval=0.2)
def ripen(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    patch.status["days"] = status.get("days", 0) + 1
