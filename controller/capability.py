"""Capability tokens: each lets the agents of one run reach that run's objects, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass

from controller.signing import decode_base64, encode_base64, is_same, sign_base64


@dataclass(frozen=True)
class Capability:
    """The run that a token is for, by its uid too: names can be used again."""

    namespace: str
    run: str
    uid: str


def mint(key: bytes, capability: Capability, *, expires: float) -> str:
    """A token that is valid until `expires` (seconds since 1970)."""
    claims = [capability.namespace, capability.run, capability.uid, int(expires)]
    body = encode_base64(json.dumps(claims, separators=(",", ":")).encode())
    return f"{body}.{sign_base64(key, body)}"


def verify(key: bytes, token: str, *, now: float) -> Capability | None:
    """The run that the token is for; None for a token that was not minted with this key or has expired."""
    body, dot, signature = token.partition(".")
    if not dot or not token.isascii() or not is_same(sign_base64(key, body), signature):
        return None
    try:
        namespace, run, uid, expires = json.loads(decode_base64(body))
    except (ValueError, TypeError):
        return None
    return Capability(namespace, run, uid) if now < expires else None
