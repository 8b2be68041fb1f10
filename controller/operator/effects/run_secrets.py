"""The run's own Secrets: copies of the values its steps use, and the token of its agents.

The copies are created once, at the start, and never change: a secret that is renewed while the run goes on would
otherwise appear unmasked in its logs.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from controller import labels
from controller.capability import Capability, mint
from controller.kube import SECRETS, AlreadyExistsError, KubeClient, NotFoundError
from controller.operator import names
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep

Json = dict[str, Any]


async def copy_secret_values(client: KubeClient, run: Json, steps: Sequence[ExpandedStep]) -> dict[str, bytes]:
    """Create the run's Secret, or read the existing one; returns its values by key."""
    uses = {names.secret_key(use): use for step in steps for use in step.step.secrets}
    if not uses:
        return {}
    namespace, name = run["metadata"]["namespace"], names.secrets_name(run["metadata"]["name"])
    sources: dict[str, Json | None] = {}
    for use in uses.values():
        if use.secret_ref not in sources:
            sources[use.secret_ref] = await _find(client, namespace, use.secret_ref)
    data = {
        key: found["data"][use.key]
        for key, use in uses.items()
        if (found := sources[use.secret_ref]) is not None and use.key in (found.get("data") or {})
    }
    secret = await _create(client, run, name, {"data": data, "immutable": True})
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


async def create_agent_token(client: KubeClient, run: Json, settings: OperatorSettings, now: float) -> None:
    """Create the Secret with the capability token that the agents of this run mount."""
    metadata = run["metadata"]
    capability = Capability(metadata["namespace"], metadata["name"], metadata["uid"])
    token = mint(settings.agent_key, capability, expires=now + settings.capability_lifetime)
    name = names.agent_secret_name(metadata["name"])
    await _create(client, run, name, {"data": {"token": base64.b64encode(token.encode()).decode()}})


def missing_secrets(steps: Sequence[ExpandedStep], values: dict[str, bytes]) -> dict[str, str]:
    """Step name -> the secret that it lacks, as a sentence."""
    found = {}
    for step in steps:
        for use in step.step.secrets:
            if names.secret_key(use) not in values:
                found[step.name] = (
                    f"the secret {use.secret_ref} has no key {use.key}; "
                    f"set it with `c8s secrets set {use.secret_ref} {use.key}`"
                )
                break
    return found


async def _find(client: KubeClient, namespace: str, name: str) -> Json | None:
    """A Secret that a step may use: not one that the controller creates for runs, such as agents' tokens."""
    try:
        found = await client.get(SECRETS, name, namespace)
    except NotFoundError:
        return None
    return None if labels.RUN in (found["metadata"].get("labels") or {}) else found


async def _create(client: KubeClient, run: Json, name: str, content: Json) -> Json:
    namespace = run["metadata"]["namespace"]
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": names.run_labels(run),
        "ownerReferences": [names.owner_reference(run)],
    }
    try:
        return await client.create(SECRETS, {"metadata": metadata, "type": "Opaque", **content}, namespace)
    except AlreadyExistsError:
        existing = await client.get(SECRETS, name, namespace)
        owners = existing["metadata"].get("ownerReferences") or []
        if not any(owner.get("uid") == run["metadata"]["uid"] for owner in owners):
            # Left by a run of the same name that is being collected: ours must not use its values.
            raise
        return existing
