"""Tokens with which a clone step reads a private repository, where a connection has a GitHub App."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.forge_secrets import withheld_reason
from controller.forges.client import ForgeClient
from controller.forges.github_app import CLONE, AppError, InstallationTokens, app_key_of
from controller.forges.requests import ForgeAddressError, repository_of
from controller.kube import REPOSITORY_CONNECTIONS, KubeClient, NotFoundError
from controller.operator.interfaces import CloneTokenError

Json = Mapping[str, Any]


class AppCloneTokens:
    """Implements `CloneTokens` of the operator."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def token(self, run: Json, secret: Json) -> str | None:
        """A token for the repository of a run; None for a Secret without an App.

        Raises:
            CloneTokenError: the forge gives none.
            KubeError: the connection can't be read; call again.
        """
        app = app_key_of(secret.get("data") or {})
        name = (run["spec"].get("trigger") or {}).get("connection")
        if app is None or not name:
            return None
        try:
            connection = await self._client.get(REPOSITORY_CONNECTIONS, str(name), run["metadata"]["namespace"])
            spec = connection["spec"]
            repository = repository_of("github", run["spec"]["source"]["git"]["url"], spec.get("apiUrl") or "")
        except (NotFoundError, ForgeAddressError) as error:
            raise CloneTokenError(str(error), is_final=True) from error
        if reason := withheld_reason(str(secret["metadata"]["name"]), secret, repository.api):
            raise CloneTokenError(reason, is_final=True)
        async with ForgeClient() as forge:
            try:
                return await InstallationTokens(forge).get(repository, app, CLONE)
            except AppError as error:
                raise CloneTokenError(error.sent.problem, is_final=not error.sent.retry) from None
