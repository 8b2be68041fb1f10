"""The token of the workbench: of a service account of its own, renewed before it expires.

The admin credentials of the cluster are used for nothing else; they stay in a file of the sandbox.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controller.files import write_private
from controller.kube import KubeClient, KubeError, connect
from kind.errors import KindError
from kind.kustomize import SYSTEM_NAMESPACE

ACCOUNT = "c8s-workbench"
LIFETIME = 24 * 3600
_CHECK_INTERVAL = 60.0


@dataclass(frozen=True)
class ServiceAccountToken:
    """The file of a token, and the kubeconfig that renews it; without `context` its current one."""

    token_file: Path
    kubeconfig: Path
    context: str | None = None

    @property
    def renew_after_file(self) -> Path:
        return self.token_file.with_name(self.token_file.name + ".renew-after")


def needs_renewal(access: ServiceAccountToken, now: float) -> bool:
    """Whether the token is missing or past half of its lifetime."""
    try:
        return not access.token_file.exists() or now >= float(access.renew_after_file.read_text())
    except (OSError, ValueError):
        return True


async def renew(access: ServiceAccountToken, client: KubeClient, now: float) -> float:
    """Write a new token; the time of its next renewal in seconds since 1970. Raises KindError."""
    try:
        status = await client.request_token(ACCOUNT, SYSTEM_NAMESPACE, expiration_seconds=LIFETIME)
    except KubeError as error:
        raise KindError(
            f"the cluster did not issue a token for the workbench: {error}", "Check the cluster with `c8s status`."
        ) from error
    # A cluster may shorten the lifetime.
    expires = datetime.fromisoformat(status["expirationTimestamp"]).timestamp()
    due = now + max(0.0, expires - now) / 2
    write_private(access.token_file, status["token"] + "\n")
    write_private(access.renew_after_file, f"{due}\n")
    return due


async def ensure(access: ServiceAccountToken, now: float) -> None:
    """Renew the token if necessary. Raises KindError."""
    if not needs_renewal(access, now):
        return
    try:
        async with connect(access.kubeconfig, access.context) as client:
            await renew(access, client, now)
    except KubeError as error:
        raise KindError(f"the workbench's token can't be renewed: {error}", "See that the cluster runs.") from error


async def renew_periodically(
    access: ServiceAccountToken,
    *,
    on_error: Callable[[str], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Renew the token whenever necessary, until cancelled. Errors are reported, and retried after a minute."""
    while True:
        try:
            await ensure(access, clock())
        except KindError as error:
            on_error(f"the token could not be renewed: {error}")
        await sleep(_CHECK_INTERVAL)
