"""Where the reports of a run go: the repository at its forge, and what authenticates there."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.forge_secrets import withheld_reason
from controller.forges.github_app import AppKey, app_key_of
from controller.forges.requests import ForgeAddressError, Repository, repository_of
from controller.kube import REPOSITORY_CONNECTIONS, SECRETS, KubeClient, NotFoundError

Json = Mapping[str, Any]

MAX_AGE = 30.0
"""Seconds for which a connection and its Secret are used without reading them again."""
_MAX_TOKEN = 65_536
_MAX_KNOWN = 2_000
_log = logging.getLogger("c8s.forges")


@dataclass(frozen=True, repr=False)
class Target:
    """Where the reports of a connection go.

    Attributes:
        repository: None if they go nowhere.
        policy: `statuses` of the connection: `run`, `step` or `off`.
        token: authenticates, unless there is an App.
        app: the GitHub App that reports, by check runs.
        problem: why they go nowhere, as a sentence.
    """

    repository: Repository | None = None
    policy: str = "off"
    token: str = ""
    app: AppKey | None = None
    problem: str = ""


class TargetReader:
    """Reads connections and their Secrets. `clock`: seconds on a monotonic clock."""

    def __init__(self, client: KubeClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self.known: dict[tuple[str, str, str], tuple[float, Target]] = {}

    async def get(self, run: Json) -> Target:
        """Where the reports of a run of a connection go, at most some seconds old. Raises KubeError."""
        trigger = run["spec"]["trigger"]
        key = (run["metadata"]["namespace"], str(trigger["connection"]), str(trigger.get("connectionUid") or ""))
        known = self.known.get(key)
        if known is None or self._clock() - known[0] > MAX_AGE:
            known = (self._clock(), await self._read(*key))
            self.known.pop(key, None)
            self.known[key] = known
            while len(self.known) > _MAX_KNOWN:
                del self.known[next(iter(self.known))]
        return known[1]

    async def _read(self, namespace: str, name: str, uid: str) -> Target:
        try:
            connection = await self._client.get(REPOSITORY_CONNECTIONS, name, namespace)
        except NotFoundError:
            return Target()
        spec = connection["spec"]
        policy = str(spec.get("statuses") or "run")
        secret_name = (spec.get("authSecretRef") or {}).get("name")
        if connection["metadata"]["uid"] != uid or policy == "off" or not secret_name:
            return Target()
        try:
            repository = repository_of(spec["provider"], spec["repository"], spec.get("apiUrl") or "")
            secret = await self._client.get(SECRETS, secret_name, namespace)
        except (NotFoundError, ForgeAddressError) as error:
            return self._nowhere(namespace, name, str(error))
        if reason := withheld_reason(secret_name, secret, repository.api):
            return self._nowhere(namespace, name, reason)
        data = secret.get("data") or {}
        if spec["provider"] == "github" and (app := app_key_of(data)) is not None:
            return Target(repository, policy, app=app)
        token = token_of(data)
        return Target(repository, policy, token) if token else Target()

    def _nowhere(self, namespace: str, name: str, problem: str) -> Target:
        _log.warning("connection %s/%s reports nothing: %s", namespace, name, problem)
        return Target(problem=problem)


def token_of(data: Json) -> str:
    """The token of a Secret: `token`, else `password`. Empty if there is none that a header can have."""
    for name in ("token", "password"):
        try:
            token = base64.b64decode(data.get(name) or "").decode().strip()
        except ValueError:
            continue
        if token and token.isascii() and token.isprintable() and len(token) <= _MAX_TOKEN:
            return token
    return ""
