"""HMAC-SHA256 signatures: the one scheme behind agents' capability tokens, signed object URLs and the log relay.

Each use joins its fields into one text and says, in its first field, what it is for. Pure.
"""

import base64
import hmac
from typing import Final

_ALGORITHM: Final = "sha256"


def derive_key(key: bytes, purpose: str) -> bytes:
    """A key for one purpose: what is signed with it means nothing anywhere else."""
    return hmac.digest(key, purpose.encode(), _ALGORITHM)


def sign(key: bytes, *fields: str) -> str:
    """The signature (hex) of these fields, which hold no line breaks except perhaps the last."""
    return hmac.digest(key, "\n".join(fields).encode(), _ALGORITHM).hex()


def sign_base64(key: bytes, text: str) -> str:
    """The signature of a text in URL-safe base64 without padding."""
    return encode_base64(hmac.digest(key, text.encode(), _ALGORITHM))


def is_same(expected: str, given: str) -> bool:
    """Whether a signature is the expected one, compared in constant time. `given` may be any text.

    Texts are compared, not bytes: several base64 texts decode to the same bytes, and only one is ours.
    """
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def encode_base64(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes:
    """The bytes of URL-safe base64 without padding. Raises ValueError."""
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
