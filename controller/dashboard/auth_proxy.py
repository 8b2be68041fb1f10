"""Who a request is from, by the headers of a proxy that has signed them in, if it proves to be that proxy.

It does what Kubernetes does for an authenticating proxy (`--requestheader-…`), with a secret in the place of a client
certificate: the API speaks plain HTTP behind what ends TLS. What the user may do is Kubernetes' decision, as always.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from controller.api.auth.authenticator import User
from controller.api.http.problems import ApiProblemError
from controller.settings import AuthProxySettings, SecretFile, SettingsError

PROOF_HEADER = "x-c8s-proxy-secret"
MAX_NAME, MAX_GROUPS = 256, 500
_AUTHENTICATED = "system:authenticated"
"""Kubernetes adds this group to every user that it has authenticated."""

log = logging.getLogger("c8s.dashboard")


@dataclass(frozen=True)
class AuthProxy:
    """The proxy that is believed."""

    settings: AuthProxySettings
    secrets: SecretFile

    @classmethod
    def of(cls, settings: AuthProxySettings) -> AuthProxy:
        """With these settings."""
        return cls(settings, SecretFile(settings.secret_file))

    def user_of(self, connection: HTTPConnection) -> User | None:
        """The user that the proxy names; None if the request is not from the proxy, or the proxy names nobody.

        Raises a problem 403 for what a proxy never sends: a wrong secret, headers that are there twice or also with
        underscores, and names that Kubernetes has given a meaning.
        """
        headers = _headers(connection)
        peer = connection.client.host if connection.client is not None else "an unknown address"
        proof = _secret_of(headers)
        is_near = self._is_near(peer)
        if proof is None:
            return None
        if not self._is_secret(proof.secret):
            if is_near:
                raise _refuse(peer, "the secret of the proxy is not the one in --auth-proxy-secret-file")
            return None
        if not is_near:
            raise _refuse(peer, f"the proxy connects from {peer}, which is not in --auth-proxy-address")
        self._check_names(headers, peer)
        name = _text(headers, self.settings.user_header, peer).strip()
        if proof.user is not None and proof.user != name:
            raise _refuse(peer, f"the user in {self.settings.user_header} is not the one in authorization")
        if not name:
            return None
        groups = dict.fromkeys(
            each for part in _text(headers, self.settings.groups_header, peer).split(",") if (each := part.strip())
        )
        if len(groups) > MAX_GROUPS:
            raise _refuse(peer, f"the user is in more than {MAX_GROUPS} groups; let the proxy send fewer")
        for each in (name, *groups):
            _check_name(each, peer)
        prefix = self.settings.name_prefix
        return User(prefix + name, groups=(*(prefix + each for each in groups), _AUTHENTICATED))

    def _is_near(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.settings.addresses)

    def _is_secret(self, given: bytes) -> bool:
        try:
            known = self.secrets.load()
        except SettingsError as error:
            log.warning("nobody is signed in by the proxy", extra={"cause": str(error)})
            return False
        return any(hmac.compare_digest(each, given) for each in known)

    def _check_names(self, headers: Mapping[str, Sequence[bytes]], peer: str) -> None:
        """Raises a problem for headers that another program could read instead of those that the proxy has set."""
        ours = {self.settings.user_header, self.settings.groups_header, PROOF_HEADER, "authorization"}
        for name, values in headers.items():
            if name in ours and len(values) > 1:
                raise _refuse(peer, f"the header {name} is there {len(values)} times")
            if name not in ours and name.replace("_", "-") in ours:
                raise _refuse(peer, f"the header {name.replace('_', '-')} is there with underscores")


@dataclass(frozen=True)
class _Proof:
    """What a request has of a secret; `user` is the name beside it, if it came as HTTP Basic credentials."""

    secret: bytes = field(repr=False)
    user: str | None = None


def _secret_of(headers: Mapping[str, Sequence[bytes]]) -> _Proof | None:
    """The secret in its own header, or else the password of Basic credentials, as oauth2-proxy sends it."""
    if PROOF_HEADER in headers:
        return _Proof(headers[PROOF_HEADER][0])
    scheme, _, credentials = headers.get("authorization", (b"",))[0].partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        name, separator, secret = base64.b64decode(credentials.strip(), validate=True).rpartition(b":")
        return _Proof(secret, name.decode()) if separator else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _headers(connection: HTTPConnection) -> Mapping[str, Sequence[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, value in connection.scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value)
    return found


def _text(headers: Mapping[str, Sequence[bytes]], name: str, peer: str) -> str:
    """The value of a header; empty without it."""
    try:
        return headers[name][0].decode() if name in headers else ""
    except UnicodeDecodeError:
        raise _refuse(peer, f"the header {name} is no valid UTF-8") from None


def _check_name(name: str, peer: str) -> None:
    if name.lower().startswith("system:"):
        raise _refuse(peer, "the proxy names a user or group that begins with system:, which are Kubernetes' own")
    if len(name) > MAX_NAME:
        raise _refuse(peer, f"the proxy names a user or group with more than {MAX_NAME} characters")
    if not name.isprintable():
        raise _refuse(peer, "the proxy names a user or group with characters that can't be seen")


def _refuse(peer: str, detail: str) -> ApiProblemError:
    log.warning("a request with the headers of the proxy was refused", extra={"peer": peer, "cause": detail})
    return ApiProblemError("forbidden", detail)
