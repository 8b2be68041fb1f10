"""GitHub Apps: the tokens of an installation, each for one repository and for what it is used for.

Sources: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app and
https://docs.github.com/en/rest/apps/apps
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from controller.forges.client import ForgeClient, Sent
from controller.forges.requests import ForgeRequest, Repository, github_headers

Json = Mapping[str, Any]
Permissions = tuple[tuple[str, str], ...]

CHECKS: Permissions = (("checks", "write"),)
CLONE: Permissions = (("contents", "read"),)
RENEW_SECONDS = 600.0
"""A token that is valid for less is renewed: a clone may take a while."""
_JWT_SECONDS = 540
"""GitHub takes at most 600 s."""
_CLOCK_DRIFT = 60
_MAX_KNOWN = 1_000
_MAX_KEY = 65_536


class AppError(Exception):
    """There is no token of the installation. `sent`: what the forge answered, and whether another try may help."""

    def __init__(self, sent: Sent) -> None:
        super().__init__(sent.problem)
        self.sent = sent


@dataclass(frozen=True, repr=False)
class AppKey:
    """What a Secret has of a GitHub App: `app-id`, `private-key` and, if that is known, `installation-id`."""

    app_id: str
    private_key: str
    installation_id: str = ""

    @property
    def digest(self) -> str:
        """Tells keys apart without keeping them."""
        said = "\0".join((self.app_id, self.installation_id, self.private_key))
        return hashlib.sha256(said.encode()).hexdigest()


def app_key_of(data: Json) -> AppKey | None:
    """The App in the data of a Secret; None if there is none."""
    values = {}
    for name in ("app-id", "private-key", "installation-id"):
        try:
            values[name] = base64.b64decode(data.get(name) or "").decode().strip()
        except ValueError:
            values[name] = ""
    app_id, key, installation = values["app-id"], values["private-key"], values["installation-id"]
    if not app_id or not key or len(key) > _MAX_KEY:
        return None
    return AppKey(app_id, key, installation if installation.isascii() and installation.isdigit() else "")


def app_token(key: AppKey, now: float) -> str:
    """The JSON Web Token that authenticates the App itself. Raises AppError for a key that is none."""
    import jwt

    claims = {"iat": int(now) - _CLOCK_DRIFT, "exp": int(now) + _JWT_SECONDS, "iss": key.app_id}
    try:
        return jwt.encode(claims, key.private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        # The error may quote the key.
        raise AppError(Sent("the private-key of the GitHub App is not an RSA key in PEM")) from None


@dataclass(frozen=True, repr=False)
class _Token:
    value: str
    expires: float


class InstallationTokens:
    """Tokens of installations, cached until shortly before they expire. `wall_clock`: seconds since 1970."""

    def __init__(self, forge: ForgeClient, wall_clock: Callable[[], float] = time.time) -> None:
        self._forge = forge
        self._wall_clock = wall_clock
        self._known: dict[tuple[str, str, str, Permissions], _Token] = {}

    async def get(self, repository: Repository, key: AppKey, permissions: Permissions) -> str:
        """A token for one repository. Raises AppError."""
        known = self._known.get(self._key(repository, key, permissions))
        if known is not None and known.expires - self._wall_clock() > RENEW_SECONDS:
            return known.value
        return await self._renew(repository, key, permissions)

    def forget(self, repository: Repository, key: AppKey, permissions: Permissions) -> bool:
        """Drop a token that the forge refuses, such as one of an App that was installed again; False for none."""
        return self._known.pop(self._key(repository, key, permissions), None) is not None

    async def _renew(self, repository: Repository, key: AppKey, permissions: Permissions) -> str:
        own = app_token(key, self._wall_clock())
        installation = key.installation_id or await self._find_installation(repository, own)
        _, _, name = repository.path.rpartition("/")
        request = ForgeRequest(
            f"{repository.api}/app/installations/{installation}/access_tokens",
            github_headers(own),
            {"repositories": [name], "permissions": dict(permissions)},
        )
        sent = await self._forge.send(request)
        try:
            token = _Token(
                str(sent.answer["token"]), datetime.fromisoformat(str(sent.answer["expires_at"])).timestamp()
            )
        except (KeyError, ValueError):
            raise AppError(_as_problem(sent, "gave no token for the GitHub App")) from None
        self._known[self._key(repository, key, permissions)] = token
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return token.value

    async def _find_installation(self, repository: Repository, own: str) -> str:
        url = f"{repository.api}/repos/{quote(repository.path)}/installation"
        sent = await self._forge.send(ForgeRequest(url, github_headers(own), None, method="GET"))
        found = sent.answer.get("id")
        if not isinstance(found, int):
            raise AppError(_as_problem(sent, f"knows no installation of the GitHub App for {repository.path}"))
        return str(found)

    def _key(self, repository: Repository, key: AppKey, permissions: Permissions) -> tuple[str, str, str, Permissions]:
        return repository.api, repository.path, key.digest, permissions


def _as_problem(sent: Sent, otherwise: str) -> Sent:
    if not sent.problem:
        return Sent(f"the forge {otherwise}")
    return Sent(f"no token for the GitHub App: {sent.problem}", sent.retry, sent.wait)
