"""The PipelineRuns of an event: their names are derived from the delivery, so that one that comes twice makes one."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from controller import labels
from controller.provenance import WEBHOOK_CREATOR
from controller.run_types import patterns
from controller.signing import derive_key
from controller.webhooks.connection import Connection
from controller.webhooks.event import RepositoryEvent

Json = dict[str, Any]

_NAME_PURPOSE = "c8s run of a delivery v1"
_MAX_PREFIX = 46
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class DeliveryKey:
    """What tells one delivery from another: the forge's id, or, handled again by a user, that and a counter."""

    delivery: str
    again: str = ""


def run_name(key: bytes, connection: Connection, delivery: DeliveryKey, event: int, pipeline: str) -> str:
    """The name of the run of a pipeline for one event of a delivery.

    It can't be guessed, or a user who may create runs could take the name of one to come.

    Args:
        event: the index of the event in the delivery.
        pipeline: the name of the PipelineConfig; empty for the pipeline of the repository.
    """
    said = "\0".join((connection.uid, delivery.delivery, delivery.again, str(event), pipeline))
    digest = hmac.digest(derive_key(key, _NAME_PURPOSE), said.encode("utf-8", "replace"), "sha256").hex()
    prefix = (pipeline or connection.name)[:_MAX_PREFIX].rstrip("-")
    return f"{prefix}-{digest[:_DIGEST_LENGTH]}"


def build_run(name: str, connection: Connection, delivery: str, event: RepositoryEvent, pipeline: str) -> Json:
    """The PipelineRun, unsigned."""
    run_labels = {labels.MANAGED_BY: labels.MANAGER, labels.CONNECTION: connection.name}
    spec: Json = {"event": event.kind, "commit": event.commit, "branch": event.tag or event.branch}
    if pipeline:
        run_labels[labels.PIPELINE] = pipeline
        spec["pipelineConfigRef"] = {"name": pipeline}
    else:
        spec["pipelineFrom"] = "repository"
        if connection.pipeline_file:
            spec["pipelineFile"] = connection.pipeline_file
    if event.changed is not None:
        spec["changedFiles"] = list(event.changed)
    git: Json = {"url": connection.repository, "revision": event.commit, "ref": event.ref}
    if connection.auth_secret:
        git["secretRef"] = connection.auth_secret
    spec["source"] = {"git": git}
    spec["triggeredBy"] = _line(f"{event.sender or 'unknown'} at {connection.provider}")
    spec["trigger"] = _trigger(connection, delivery, event)
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "metadata": {
            "name": name,
            "namespace": connection.namespace,
            "labels": run_labels,
            "annotations": {labels.CREATED_BY: WEBHOOK_CREATOR},
        },
        "spec": spec,
    }


def _trigger(connection: Connection, delivery: str, event: RepositoryEvent) -> Json:
    trigger: Json = {
        "connection": connection.name,
        "connectionUid": connection.uid,
        "provider": connection.provider,
        "delivery": _line(delivery),
    }
    if event.sender:
        trigger["sender"] = _line(event.sender)
    if event.base:
        trigger["base"] = event.base
    if event.message:
        trigger["message"] = event.message.replace("\0", "")
    request = event.pull_request
    if request is not None:
        trigger["pullRequest"] = request.number
        if request.from_fork:
            trigger |= {"fork": True, "needsApproval": connection.forks == "approve"}
    return trigger


def _line(text: str) -> str:
    """A text that fits a field of one line: payloads were checked, headers were not."""
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown.encode("utf-8", "replace").decode()[: patterns.MAX_SHORT_TEXT_LENGTH]
