"""Refuses artifacts whose file names contain a secret: names are shown to everyone who may see the run.

A name can't be masked as a log is, because it is also the path in the archive.
"""

import asyncio
import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from controller.api.http.problems import ApiProblemError
from controller.kube import SECRETS, NotFoundError, Resource
from controller.logs.masking.mask import SecretPatterns
from controller.operator.names import secrets_name

_MAX_JOINED_BYTES = 64 * 1024


class SecretClient(Protocol):
    """The part of the Kubernetes client that is used here."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Reads one object."""
        ...


async def check_file_names(client: SecretClient, run: Mapping[str, Any], paths: Sequence[str]) -> None:
    """Raises a problem if a path contains a secret that a step of the run uses, in any form that logs are masked of."""
    values = await _secret_values(client, run)
    if not values:
        return
    found: bool = await asyncio.to_thread(_contain_secret, paths, values)
    if found:
        raise ApiProblemError(
            "invalid",
            "the artifacts are not stored: the name of a file or folder among them contains the value of a secret. "
            "Name it otherwise, or leave it out of `artifacts`",
        )


async def _secret_values(client: SecretClient, run: Mapping[str, Any]) -> frozenset[bytes]:
    """The values of the run's own Secret; asks Kubernetes only if the run may have one."""
    pipeline = (run.get("spec") or {}).get("pipeline")
    if pipeline is not None and not any(step.get("secrets") for step in pipeline.get("steps") or ()):
        return frozenset()
    metadata = run["metadata"]
    try:
        secret = await client.get(SECRETS, secrets_name(str(metadata["name"])), namespace=str(metadata["namespace"]))
    except NotFoundError:
        return frozenset()
    return frozenset(base64.b64decode(value) for value in (secret.get("data") or {}).values())


def _contain_secret(paths: Iterable[str], values: frozenset[bytes]) -> bool:
    patterns = SecretPatterns(values)
    if not patterns:
        return False
    # Names can't contain NUL, which the search would skip: a line each keeps them apart.
    batch, size = list[bytes](), 0
    for path in paths:
        batch.append(path.replace("\n", " ").encode("utf-8", "surrogateescape"))
        size += len(batch[-1])
        if size > _MAX_JOINED_BYTES:
            if patterns.find(b"\n\n".join(batch)):
                return True
            batch, size = [], 0
    return bool(patterns.find(b"\n\n".join(batch)))
