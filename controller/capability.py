"""Capability tokens: each lets one agent of one attempt of a step reach what that needs, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, get_args

from controller.signing import decode_base64, encode_base64, is_same, sign_base64

AgentRole = Literal["step", "source"]
"""What an agent does: it fetches what a step needs and stores what it leaves, or it clones the source."""
_VERSION = 2
_EARLIER_ROLES: dict[str, AgentRole] = {"fetch": "step", "upload": "step"}
"""Of the two agents that a step of an earlier version has; it may go on while the controller is upgraded."""


@dataclass(frozen=True)
class Capability:
    """The agent that a token is for. The run is given by its uid too: names can be used again."""

    namespace: str
    run: str
    uid: str
    slug: str
    attempt: int
    role: AgentRole


def mint(key: bytes, capability: Capability, *, expires: float) -> str:
    """A token that is valid until `expires` (seconds since 1970)."""
    agent = [capability.slug, capability.attempt, capability.role]
    claims = [_VERSION, capability.namespace, capability.run, capability.uid, *agent, int(expires)]
    body = encode_base64(json.dumps(claims, separators=(",", ":")).encode())
    return f"{body}.{sign_base64(key, body)}"


def verify(key: bytes, token: str, *, now: float) -> Capability | None:
    """The agent that the token is for; None for a token that was not minted with this key or has expired."""
    body, dot, signature = token.partition(".")
    if not dot or not token.isascii() or not is_same(sign_base64(key, body), signature):
        return None
    try:
        version, namespace, run, uid, slug, attempt, role, expires = json.loads(decode_base64(body))
    except (ValueError, TypeError):
        return None
    role = _EARLIER_ROLES.get(role, role) if isinstance(role, str) else role
    if version != _VERSION or role not in get_args(AgentRole) or now >= expires:
        return None
    return Capability(namespace, run, uid, slug, attempt, role)
