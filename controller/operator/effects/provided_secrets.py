"""The secrets that the Secrets Store CSI driver mounts into steps: whether they may be used, and their values to mask.

The driver makes its Secret when the pod has started, so that the logs of a run are not followed before it is read. What
was read is copied for each attempt, as the values of other Secrets are: a new operator masks the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from controller.kube import SECRET_PROVIDER_CLASSES, KubeClient, NotFoundError
from controller.operator import names
from controller.operator.effects.run_secrets import create_run_secret, find_secret, is_for_pipelines
from controller.operator.run_object import is_from_fork
from controller.pipeline.graph.expand import ExpandedStep
from controller.run_types.keys import AttemptKey
from controller.secret_providers import refusal

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]


async def refused_providers(client: KubeClient, run: RunObject, steps: Iterable[ExpandedStep]) -> dict[str, str]:
    """Name of a step -> why it may not mount a SecretProviderClass. Raises KubeError."""
    known: dict[str, Json | None] = {}
    refused: dict[str, str] = {}
    for step in steps:
        for use in step.step.secret_providers:
            if is_from_fork(run):
                reason = "the run of a pull request from a fork gets no secrets"
                refused.setdefault(step.name, f"{reason}, and the step uses {use.provider_class}")
                continue
            if use.provider_class not in known:
                known[use.provider_class] = await _find_class(client, run["metadata"]["namespace"], use.provider_class)
            if reason := refusal(use.provider_class, use.secret, known[use.provider_class]):
                refused.setdefault(step.name, reason)
    return refused


async def _find_class(client: KubeClient, namespace: str, name: str) -> Json | None:
    try:
        return await client.get(SECRET_PROVIDER_CLASSES, name, namespace)
    except NotFoundError:
        return None


async def read_provided(
    client: KubeClient, run: RunObject, attempt: AttemptKey, secrets: Iterable[str]
) -> dict[str, bytes] | None:
    """The values of the Secrets that the driver made for an attempt, copied; None while one of them is not there.

    Raises:
        KubeError: call again.
    """
    metadata = run["metadata"]
    name = names.provided_secret_name(metadata["name"], metadata["uid"], attempt.slug, attempt.number)
    existing = await find_secret(client, metadata["namespace"], name)
    if existing is None:
        data: dict[str, str] = {}
        for each in secrets:
            made = await find_secret(client, metadata["namespace"], each)
            if made is None or not is_for_pipelines(made) or not made.get("data"):
                return None
            data |= {_copied_key(each, key): value for key, value in made["data"].items()}
        existing = await create_run_secret(client, run, name, {"data": data, "immutable": True})
    return {key: base64.b64decode(value) for key, value in (existing.get("data") or {}).items()}


def _copied_key(secret: str, key: str) -> str:
    return hashlib.sha256(f"{secret}\0{key}".encode()).hexdigest()[:32]
