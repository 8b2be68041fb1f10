"""Users, static token files and service account tokens."""

from __future__ import annotations

import csv
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from embedded.api import status_errors
from embedded.api.scheme import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, ObjectRef
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry
from embedded.types import JsonObject

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
DEFAULT_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
"""The audience of a token whose request names none: this API server."""
_ALGORITHM = "HS256"
_MAX_EXPIRATION_SECONDS = 1 << 32
_BINDABLE = {("v1", "Pod"): PODS, ("v1", "Secret"): SECRETS, ("v1", "Node"): NODES}
"""What a token can be bound to, by apiVersion and kind."""
_MIN_EXPIRATION_SECONDS = 600


@dataclass(frozen=True)
class User:
    """An authenticated user."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """As a `UserInfo` of the authentication API."""
        info: JsonObject = {"username": self.name, "groups": list(self.groups)}
        return {**info, "uid": self.uid} if self.uid else info


class TokenFileError(Exception):
    """The token file cannot be read. The message names the line, never its content."""


def read_token_file(path: Path) -> dict[str, User]:
    """Read a static token file as kube-apiserver does: `token,user,uid,"group1,group2"` a line.

    Raises:
        TokenFileError: the file is missing or a line is malformed.
    """
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
        raise TokenFileError(f"cannot read the token file {path}: {error}") from error
    return users


def load_signing_key(path: Path) -> bytes:
    """Read the key that signs service account tokens; create it when it does not exist."""
    if not path.exists():
        # Renamed into place: after a crash, an empty key would let anyone sign tokens.
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_bytes(32))
        fresh.replace(path)
    return path.read_bytes()


@dataclass
class Authenticator:
    """Authenticates static tokens and the service account tokens that this cluster signed."""

    registry: Registry
    static_tokens: dict[str, User]
    key: bytes = field(repr=False)
    clock: Callable[[], datetime]

    def __post_init__(self) -> None:
        # Looked up by digest, so that the duration of a lookup reveals nothing about a token.
        self._static = {hashlib.sha256(token.encode()).digest(): user for token, user in self.static_tokens.items()}

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """The user of a token, None for an invalid one.

        A service account token must be issued for one of the audiences, by default this server.
        """
        known = self._static.get(hashlib.sha256(token.encode("utf-8", "replace")).digest())
        return known or self._authenticate_service_account(token, audiences)

    def matching_audiences(self, token: str, requested: Sequence[str]) -> list[str]:
        """Those of the requested audiences that a valid token is issued for; a static token is for all of them."""
        claims = self._verified_claims(token)
        if claims is None:
            return list(requested)
        issued_for = claims.get("aud") or [DEFAULT_AUDIENCE]
        return [audience for audience in (requested or [DEFAULT_AUDIENCE]) if audience in issued_for]

    def issue_token(
        self, namespace: str, name: str, seconds: int, audiences: list[str], bound_to: JsonObject | None = None
    ) -> JsonObject:
        """The completed TokenRequest for a service account; a bound token is valid as long as its object exists.

        Raises:
            ApiError: 400, tokens can't be bound to such an object; 404, the account or the object does not exist; 409,
                the object has another uid; 422, the lifetime is out of range.
        """
        account = self.registry.get(ObjectRef(SERVICE_ACCOUNTS, namespace, name))
        bound = self._resolve_bound_object(namespace, bound_to) if bound_to else None
        _require_valid_lifetime(seconds)
        import jwt

        uid, now = account["metadata"]["uid"], self.clock()
        expires = now + timedelta(seconds=seconds)
        claims = {
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "uid": uid,
            "exp": int(expires.timestamp()),
            "aud": audiences,
            **({"bound": [bound["kind"], bound["name"], bound["uid"]]} if bound else {}),
        }
        token = jwt.encode(claims, self.key, _ALGORITHM)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": format_time(now)},
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
            "status": {"token": token, "expirationTimestamp": format_time(expires.astimezone(UTC))},
        }

    def _resolve_bound_object(self, namespace: str, reference: JsonObject) -> JsonObject:
        kind, name = str(reference.get("kind") or ""), str(reference.get("name") or "")
        resource = _BINDABLE.get((str(reference.get("apiVersion") or "v1"), kind))
        if resource is None:
            group, _, version = str(reference.get("apiVersion") or "").rpartition("/")
            raise status_errors.bad_request(
                f"cannot bind token for serviceaccount to type {group}/{version}, Kind={kind}"
            )
        found = self.registry.get(ObjectRef(resource, namespace if resource.namespaced else None, name))
        uid = found["metadata"]["uid"]
        if (requested := reference.get("uid")) and requested != uid:
            why = f"the UID in the bound object reference ({requested}) does not match the UID in record. "
            why += "The object might have been deleted and then recreated"
            raise status_errors.conflict(kind, name, "", why)
        return {"kind": kind, "apiVersion": "v1", "name": name, "uid": uid}

    def _is_bound_object_gone(self, namespace: str, claims: JsonObject) -> bool:
        """Whether a token is bound to an object that no longer exists."""
        if "bound" not in claims:
            return False
        kind, name, uid = claims["bound"]
        resource = _BINDABLE["v1", kind]
        found = self.registry.find(ObjectRef(resource, namespace if resource.namespaced else None, name))
        return found is None or found["metadata"]["uid"] != uid

    def _verified_claims(self, token: str) -> JsonObject | None:
        """The claims of a token that this cluster signed, None for any other. Does not check expiry and audience."""
        # Imported at the first such token: PyJWT loads http.client and cryptography, which takes 0.1 to 0.2 s.
        import jwt

        options: Any = {"verify_exp": False, "verify_aud": False}
        try:
            claims: JsonObject = jwt.decode(token, self.key, [_ALGORITHM], options)
        except (jwt.PyJWTError, UnicodeError):
            return None
        return claims

    def _authenticate_service_account(self, token: str, audiences: Sequence[str]) -> User | None:
        claims = self._verified_claims(token)
        # Against the injected clock, not PyJWT's.
        if claims is None or self.clock().timestamp() >= claims["exp"]:
            return None
        if not set(audiences or [DEFAULT_AUDIENCE]) & set(claims.get("aud") or [DEFAULT_AUDIENCE]):
            return None
        _, _, namespace, name = claims["sub"].split(":")
        account = self.registry.find(ObjectRef(SERVICE_ACCOUNTS, namespace, name))
        if account is None or account["metadata"]["uid"] != claims["uid"]:
            return None
        if self._is_bound_object_gone(namespace, claims):
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(claims["sub"], claims["uid"], groups)


def _require_valid_lifetime(seconds: int) -> None:
    if _MIN_EXPIRATION_SECONDS <= seconds <= _MAX_EXPIRATION_SECONDS:
        return
    bound = "less than 10 minutes" if seconds < _MIN_EXPIRATION_SECONDS else "larger than 2^32 seconds"
    error = status_errors.FieldError(
        "FieldValueInvalid",
        "spec.expirationSeconds",
        f"Invalid value: {seconds}: may not specify a duration {bound}",
    )
    raise status_errors.invalid("TokenRequest", "", "authentication.k8s.io", [error])
