"""Capability tokens: what lets the agents of one run reach that run's objects, and nothing else."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Capability:
    """What a token stands for."""

    namespace: str
    run: str
    uid: str


def mint(key: bytes, capability: Capability, *, expires: float) -> str:
    """A token that is good until `expires` (seconds since 1970)."""
    claims = [capability.namespace, capability.run, capability.uid, int(expires)]
    body = _encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{body}.{_signature(key, body)}"


def verify(key: bytes, token: str, *, now: float) -> Capability | None:
    """What the token stands for, or None when it is not ours or no longer good."""
    body, dot, signature = token.partition(".")
    try:
        # Compared as text: several texts decode to the same bytes, and only ours is ours.
        if not dot or not hmac.compare_digest(signature.encode(), _signature(key, body).encode()):
            return None
        namespace, run, uid, expires = json.loads(_decode(body))
    except (ValueError, binascii.Error, TypeError):
        return None
    return Capability(namespace, run, uid) if now < expires else None


def _signature(key: bytes, body: str) -> str:
    return _encode(hmac.digest(key, body.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
