"""Mutual authentication of API and leader: both hold the installation's key, and neither sends it (docs/adr/0005).

A signature covers the leader's address, so the owner of a former leader's address cannot reuse it with the current
leader. The leader signs its responses too, so no one else can send false lines to a viewer.
"""

import hashlib

from controller import signing

SCHEME = "C8s-Live"
PROOF_HEADER = "C8s-Live-Proof"
LIFETIME_SECONDS = 60
CLOCK_SKEW_SECONDS = 60


def derive_relay_key(agent_key: bytes) -> bytes:
    """The key of the log relay, derived from the one that signs agents' tokens."""
    return signing.derive_key(agent_key, "c8s live logs v1")


def sign_request(key: bytes, address: str, body: bytes, *, now: float, nonce: str) -> str:
    """The Authorization header of one request to the leader at this address."""
    expires = int(now) + LIFETIME_SECONDS
    return f"{SCHEME} {expires}.{nonce}.{_request_signature(key, address, body, expires, nonce)}"


def verify_request(key: bytes, header: str, address: str, body: bytes, *, now: float) -> str | None:
    """The nonce of a request that was signed with this key; None for any other."""
    scheme, _, rest = header.partition(" ")
    parts = rest.split(".")
    if scheme != SCHEME or len(parts) != 3 or not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 12):
        return None
    expires, nonce = int(parts[0]), parts[1]
    if not now - CLOCK_SKEW_SECONDS < expires < now + LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
        return None
    expected = _request_signature(key, address, body, expires, nonce)
    return nonce if signing.is_same(expected, parts[2]) else None


def sign_response(key: bytes, nonce: str) -> str:
    """The proof, for the request with this nonce, that the responder holds the key."""
    return signing.sign(key, "answer", nonce)


def _request_signature(key: bytes, address: str, body: bytes, expires: int, nonce: str) -> str:
    return signing.sign(key, "ask", address, str(expires), nonce, hashlib.sha256(body).hexdigest())
