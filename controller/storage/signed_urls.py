"""URLs of objects that carry their own permission: a signature over method, key and expiry. Pure.

A directory store has no server of its own, so its URLs lead to the controller's API, which verifies them.
"""

from urllib.parse import quote, urlencode

from controller import signing
from controller.storage.keys import check_key

OBJECTS_PATH = "/api/v1/objects/"


def sign(signing_key: bytes, method: str, key: str, expires: int) -> str:
    """The signature in hex; `expires` is in seconds since 1970."""
    return signing.sign(signing_key, "c8s-object-link-1", method, key, str(expires))


def signed_url(signing_key: bytes, public_url: str, method: str, key: str, expires: int) -> str:
    """The URL that permits `method` on `key` until `expires`."""
    query = {"expires": expires, "method": method, "signature": sign(signing_key, method, key, expires)}
    return f"{public_url.rstrip('/')}{OBJECTS_PATH}{quote(check_key(key))}?{urlencode(query)}"


def verify_signature(signing_key: bytes, *, method: str, key: str, expires: int, signature: str, now: float) -> bool:
    """Whether the signature grants this now. HEAD is part of GET."""
    expected = sign(signing_key, "GET" if method == "HEAD" else method, key, expires)
    return signing.is_same(expected, signature) and now < expires
