"""Mutual authentication of API and leader: both hold the installation's key, and neither sends it (docs/adr/0005).

A signature covers the leader's address, so the owner of a former leader's address cannot reuse it with the current
leader. The leader signs its responses too, so nobody else can send false lines to a viewer.
"""

import hashlib
import hmac

SCHEME = "C8s-Live"
PROOF_HEADER = "C8s-Live-Proof"
LIFETIME_SECONDS = 60
CLOCK_SKEW_SECONDS = 60


def derive_relay_key(agent_key: bytes) -> bytes:
    """A key for this purpose alone, from the one that signs agents' tokens."""
    return hmac.digest(agent_key, b"c8s live logs v1", "sha256")


def sign_request(key: bytes, address: str, body: bytes, *, now: float, nonce: str) -> str:
    """The Authorization header of one request to the leader at this address."""
    expires = int(now) + LIFETIME_SECONDS
    return f"{SCHEME} {expires}.{nonce}.{_signature(key, address, body, expires, nonce)}"


def verify_request(key: bytes, header: str, address: str, body: bytes, *, now: float) -> str | None:
    """The nonce of a request that is an API's of ours; None for any other."""
    scheme, _, rest = header.partition(" ")
    parts = rest.split(".")
    if scheme != SCHEME or len(parts) != 3 or not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 12):
        return None
    expires, nonce = int(parts[0]), parts[1]
    if not now - CLOCK_SKEW_SECONDS < expires < now + LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
        return None
    right = _signature(key, address, body, expires, nonce)
    return nonce if hmac.compare_digest(right.encode(), parts[2].encode("utf-8", "replace")) else None


def sign_response(key: bytes, nonce: str) -> str:
    """What only a holder of the key can answer."""
    return hmac.digest(key, f"answer\n{nonce}".encode(), "sha256").hex()


def _signature(key: bytes, address: str, body: bytes, expires: int, nonce: str) -> str:
    text = f"ask\n{address}\n{expires}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
    return hmac.digest(key, text.encode(), "sha256").hex()
