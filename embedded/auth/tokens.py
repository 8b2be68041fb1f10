"""Users, and the tokens that tell who somebody is."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from embedded.api import status_errors
from embedded.api.scheme import SERVICE_ACCOUNTS, ObjectRef
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry

Json = dict[str, Any]

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
DEFAULT_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
"""Whom a token is for when nobody else was asked for: this server."""
_MAX_EXPIRATION_SECONDS = 1 << 32
_MIN_EXPIRATION_SECONDS = 600


@dataclass(frozen=True)
class User:
    """Somebody who was recognised."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()

    def to_json(self) -> Json:
        info: Json = {"username": self.name, "groups": list(self.groups)}
        return {**info, "uid": self.uid} if self.uid else info


class TokenFileError(Exception):
    """The token file can't be read; the message says which line is wrong, never what is in it."""


def read_token_file(path: Path) -> dict[str, User]:
    """A static token file as kube-apiserver has it: `token,user,uid,"group1,group2"` a line."""
    users: dict[str, User] = {}
    try:
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row:
                    continue
                if len(row) < 3 or not row[0] or not row[1]:
                    raise TokenFileError(f"{path}:{number}: expected token,user,uid and optionally groups")
                groups = tuple(g.strip() for g in row[3].split(",") if g.strip()) if len(row) > 3 else ()
                users[row[0]] = User(row[1], row[2], tuple(dict.fromkeys((*groups, AUTHENTICATED))))
    except OSError as error:
        raise TokenFileError(f"can't read the token file {path}: {error}") from error
    return users


def load_signing_key(path: Path) -> bytes:
    """The key of this cluster's service account tokens; made at the first call."""
    if not path.exists():
        # Renamed into place, so that no crash leaves an empty key, with which anybody could sign.
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_bytes(32))
        fresh.replace(path)
    return path.read_bytes()


@dataclass
class Authenticator:
    """Recognises static tokens and the service account tokens that this cluster signed."""

    registry: Registry
    static_tokens: dict[str, User]
    key: bytes = field(repr=False)
    clock: Callable[[], datetime]

    def __post_init__(self) -> None:
        # Looked up by digest, so that the time a look-up takes tells nothing about a token.
        self._static = {hashlib.sha256(token.encode()).digest(): user for token, user in self.static_tokens.items()}

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """Whose token it is. A service account's must be meant for one of the audiences, by default this server."""
        known = self._static.get(hashlib.sha256(token.encode("utf-8", "replace")).digest())
        return known or self._authenticate_service_account(token, audiences)

    def matching_audiences(self, token: str, requested: Sequence[str]) -> list[str]:
        """Those of the wanted audiences that a good token is meant for."""
        claims = self._verified_claims(token)
        if claims is None:
            return list(requested)
        meant = claims.get("aud") or [DEFAULT_AUDIENCE]
        return [audience for audience in (requested or [DEFAULT_AUDIENCE]) if audience in meant]

    def issue_token(self, namespace: str, name: str, seconds: int, audiences: list[str]) -> Json:
        """The answer to a TokenRequest for a service account.

        Raises:
            ApiError: 404 without such an account, 422 for a lifetime out of range.
        """
        account = self.registry.get(ObjectRef(SERVICE_ACCOUNTS, namespace, name))
        if not _MIN_EXPIRATION_SECONDS <= seconds <= _MAX_EXPIRATION_SECONDS:
            bound = "less than 10 minutes" if seconds < _MIN_EXPIRATION_SECONDS else "larger than 2^32 seconds"
            cause = status_errors.FieldError(
                "FieldValueInvalid",
                "spec.expirationSeconds",
                f"Invalid value: {seconds}: may not specify a duration {bound}",
            )
            raise status_errors.invalid("TokenRequest", "", "authentication.k8s.io", [cause])
        expires = self.clock() + timedelta(seconds=seconds)
        claims = {
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "uid": account["metadata"]["uid"],
            "exp": int(expires.timestamp()),
            "aud": audiences,
        }
        body = _encode(json.dumps({"alg": "HS256"}).encode()) + "." + _encode(json.dumps(claims).encode())
        token = f"{body}.{_encode(self._sign(body))}"
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": account["metadata"]["uid"],
                "creationTimestamp": format_time(self.clock()),
            },
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": None},
            "status": {"token": token, "expirationTimestamp": format_time(expires.astimezone(UTC))},
        }

    def _sign(self, body: str) -> bytes:
        return hmac.digest(self.key, body.encode(), "sha256")

    def _verified_claims(self, token: str) -> Json | None:
        """What a token that this cluster signed says; None for any other."""
        body, dot, signature = token.rpartition(".")
        try:
            if not dot or not hmac.compare_digest(_decode(signature), self._sign(body)):
                return None
            claims: Json = json.loads(_decode(body.partition(".")[2]))
        except (ValueError, binascii.Error):
            return None
        return claims

    def _authenticate_service_account(self, token: str, audiences: Sequence[str]) -> User | None:
        claims = self._verified_claims(token)
        if claims is None or self.clock().timestamp() >= claims["exp"]:
            return None
        if not set(audiences or [DEFAULT_AUDIENCE]) & set(claims.get("aud") or [DEFAULT_AUDIENCE]):
            return None
        _, _, namespace, name = claims["sub"].split(":")
        account = self.registry.find(ObjectRef(SERVICE_ACCOUNTS, namespace, name))
        if account is None or account["metadata"]["uid"] != claims["uid"]:
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(claims["sub"], claims["uid"], groups)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
