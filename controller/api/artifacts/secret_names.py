"""Refuses artifacts whose file names contain a secret: names are shown to everyone who may see the run.

A name can't be masked as a log is, because it is also the path in the archive.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from controller.api.http.problems import ApiProblemError
from controller.kube import SECRETS, NotFoundError, Resource
from controller.logs.masking.patterns import SecretPatterns
from controller.operator.names import is_confidential, secrets_name

_MAX_JOINED_BYTES = 64 * 1024

PathCheck = Callable[[Sequence[str]], None]


class SecretClient(Protocol):
    """The part of the Kubernetes client that is used here."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Reads one object."""
        ...


async def file_name_check(client: SecretClient, run: Mapping[str, Any]) -> PathCheck | None:
    """A check of paths for the secrets that the steps of a run use, in any form that logs are masked of.

    It raises a problem for a path that contains one. None if there is nothing to look for.
    """
    patterns = SecretPatterns(await secret_values(client, run))
    return partial(_check_paths, patterns) if patterns else None


async def secret_values(client: SecretClient, run: Mapping[str, Any]) -> frozenset[bytes]:
    """The values of the run's own Secret; asks Kubernetes only if the run may have one."""
    spec = run.get("spec") or {}
    pipeline = spec.get("pipeline")
    has_credentials = bool(((spec.get("source") or {}).get("git") or {}).get("secretRef"))
    uses_secrets = pipeline is None or any(step.get("secrets") for step in pipeline.get("steps") or ())
    if not has_credentials and not uses_secrets:
        return frozenset()
    metadata = run["metadata"]
    try:
        name = secrets_name(str(metadata["name"]), str(metadata["uid"]))
        secret = await client.get(SECRETS, name, namespace=str(metadata["namespace"]))
    except NotFoundError:
        return frozenset()
    values = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
    return frozenset(value for key, value in values.items() if is_confidential(key, value))


def _check_paths(patterns: SecretPatterns, paths: Sequence[str]) -> None:
    if _contain_secret(patterns, paths):
        raise ApiProblemError(
            "invalid",
            "the artifacts are not stored: the name of a file or folder among them contains the value of a secret. "
            "Name it otherwise, or leave it out of `artifacts`",
        )


def _contain_secret(patterns: SecretPatterns, paths: Iterable[str]) -> bool:
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
