"""Whether a delivery comes from who knows the secret: over the raw body, in constant time, before it is parsed."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

MAX_SIGNATURE_LENGTH = 1024
_MAX_SIGNATURES = 8
MAX_CLOCK_SKEW = 300
"""Seconds between GitLab's signed time and now, as the Standard Webhooks specification advises."""
_STANDARD_PREFIX = "whsec_"

Headers = Mapping[str, str]
"""By lower-case name."""


def hex_digest(secret: bytes, body: bytes) -> str:
    """HMAC-SHA256 in hexadecimal, as GitHub, Bitbucket and Gitea sign."""
    return hmac.digest(secret, body, "sha256").hex()


def is_signed(given: str, secrets: Sequence[bytes], body: bytes) -> bool:
    """Whether the signature in hexadecimal is one with any of the secrets. All are tried, whichever fits.

    An empty secret is none: everyone could sign with it.
    """
    expected = [hex_digest(secret, body).encode() for secret in secrets if secret]
    return _is_any(given.encode("utf-8", "replace"), expected)


def is_token(given: str, secrets: Sequence[bytes]) -> bool:
    """Whether the text is one of the secrets, as GitLab's secret token. An empty one never is."""
    return bool(given) and _is_any(given.encode("utf-8", "replace"), secrets)


def is_standard_signed(headers: Headers, secrets: Sequence[bytes], body: bytes, now: float) -> bool:
    """Whether it is signed as the Standard Webhooks specification says, which GitLab's signing token uses.

    The header `webhook-signature` has signatures `v1,BASE64` over `id.timestamp.body`, separated by spaces.
    """
    identifier, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if not (at.isascii() and at.isdigit() and len(at) < 12) or abs(now - int(at)) > MAX_CLOCK_SKEW:
        return False
    if len(given) > MAX_SIGNATURE_LENGTH:
        return False
    signed = f"{identifier}.{at}.".encode("utf-8", "replace") + body
    expected = [
        base64.b64encode(hmac.digest(key, signed, "sha256")) for secret in secrets if (key := standard_key(secret))
    ]
    candidates = [each[3:] for each in given.split(" ")[:_MAX_SIGNATURES] if each.startswith("v1,")]
    found = False
    for candidate in candidates:
        found |= _is_any(candidate.encode("utf-8", "replace"), expected)
    return found


def standard_headers(secret: bytes, body: bytes, now: float) -> dict[str, str]:
    """The headers of a signature by the Standard Webhooks specification."""
    at = str(int(now))
    identifier = hex_digest(standard_key(secret), body)[:32]
    digest = hmac.digest(standard_key(secret), f"{identifier}.{at}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": identifier, "webhook-timestamp": at, "webhook-signature": signature}


def standard_key(secret: bytes) -> bytes:
    """The key of a signing token `whsec_BASE64`; empty for a secret of another form."""
    text = secret.decode("utf-8", "replace")
    if not text.startswith(_STANDARD_PREFIX):
        return b""
    try:
        return base64.b64decode(text.removeprefix(_STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_any(given: bytes, expected: Sequence[bytes]) -> bool:
    found = False
    for each in expected:
        found |= bool(each) and len(given) <= MAX_SIGNATURE_LENGTH and hmac.compare_digest(each, given)
    return found
