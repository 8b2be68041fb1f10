"""Refuses artifacts whose file names contain a secret: names are shown to everyone who may see the run.

A name can't be masked as a log is, because it is also the path in the archive.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from controller.api.artifacts.keys import find_step
from controller.api.http.problems import ApiProblemError
from controller.kube import SECRETS, NotFoundError, Resource
from controller.logs.masking.patterns import SecretPatterns
from controller.operator.names import is_confidential, provided_secret_name, secrets_name
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import FINAL_STEP_PHASES

_MAX_JOINED_BYTES = 64 * 1024

PathCheck = Callable[[Sequence[str]], None]


class SecretClient(Protocol):
    """The part of the Kubernetes client that is used here."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Reads one object."""
        ...


async def file_name_check(client: SecretClient, run: Mapping[str, Any], attempt: AttemptKey) -> PathCheck | None:
    """A check of paths for the secrets that the steps of a run use, in any form that logs are masked of.

    It raises a problem for a path that contains one. None if there is nothing to look for.

    Args:
        attempt: whose files they are.

    Raises:
        ApiProblemError: not all secrets are known yet.
    """
    patterns = SecretPatterns(await secret_values(client, run, attempt))
    return partial(_check_paths, patterns) if patterns else None


async def secret_values(client: SecretClient, run: Mapping[str, Any], attempt: AttemptKey) -> frozenset[bytes]:
    """The values of the run's own Secrets; asks Kubernetes only if the run may have one.

    Args:
        attempt: that asks.

    Raises:
        ApiProblemError: what the CSI driver has mounted into an attempt that runs is not known yet; ask again.
    """
    provided = await _provided_values(client, run, attempt)
    return provided | await _copied_values(client, run)


async def _provided_values(client: SecretClient, run: Mapping[str, Any], asking: AttemptKey) -> frozenset[bytes]:
    """What the CSI driver has mounted into the attempts of the run, by the operator's copies."""
    metadata, steps = run["metadata"], ((run.get("spec") or {}).get("pipeline") or {}).get("steps") or ()
    mounting = {str(step.get("name")) for step in steps if step.get("secretProviders")}
    if not mounting:
        return frozenset()
    found = set[bytes]()
    for attempt, is_running in _mounting_attempts(run, mounting, asking):
        name = provided_secret_name(str(metadata["name"]), str(metadata["uid"]), attempt.slug, attempt.number)
        try:
            secret = await client.get(SECRETS, name, namespace=str(metadata["namespace"]))
        except NotFoundError:
            if is_running:
                message = "the secrets that the CSI driver has mounted are not known yet; ask again"
                raise ApiProblemError("unavailable", message) from None
            # It ended before anything was known: nothing of it was stored.
            continue
        found |= {base64.b64decode(value) for value in (secret.get("data") or {}).values()}
    return frozenset(found - {b""})


def _mounting_attempts(
    run: Mapping[str, Any], mounting: set[str], asking: AttemptKey
) -> Iterator[tuple[AttemptKey, bool]]:
    """The attempts of steps that mount something, and whether each may be running. `mounting`: the steps' names."""
    for status in (run.get("status") or {}).get("steps") or ():
        # Combinations of a matrix are named after their step: `test (python=3.12)`.
        if str(status["name"]).partition(" (")[0] not in mounting:
            continue
        tried = {AttemptKey(status["slug"], each["number"]): each for each in status.get("attempts") or ()}
        for attempt, each in tried.items():
            is_running = each["phase"] not in FINAL_STEP_PHASES and "running" in each["times"]
            yield attempt, is_running or attempt == asking
        if status["slug"] == asking.slug and asking not in tried:
            yield asking, True
    if find_step(run, asking.slug) is None:
        # The status does not say yet what the step is.
        yield asking, True


async def _copied_values(client: SecretClient, run: Mapping[str, Any]) -> frozenset[bytes]:
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
