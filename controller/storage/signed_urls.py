"""Links to objects that carry their own permission: an HMAC over method, key and expiry.

Pure: the clock is the caller's. A directory store has no server of its own, so its links lead to our API, which asks
`verify` before it serves them.
"""

import hmac
from urllib.parse import quote, urlencode

from controller.storage.keys import check_key

OBJECTS_PATH = "/api/v1/objects/"


def sign(signing_key: bytes, method: str, key: str, expires: int) -> str:
    """The signature (hex) of a permission; `expires` is in seconds since 1970."""
    message = "\n".join(("c8s-object-link-1", method, key, str(expires)))
    return hmac.new(signing_key, message.encode(), "sha256").hexdigest()


def signed_url(signing_key: bytes, public_url: str, method: str, key: str, expires: int) -> str:
    """The URL that grants `method` on `key` until `expires`."""
    query = {"expires": expires, "method": method, "signature": sign(signing_key, method, key, expires)}
    return f"{public_url.rstrip('/')}{OBJECTS_PATH}{quote(check_key(key))}?{urlencode(query)}"


def verify_signature(signing_key: bytes, *, method: str, key: str, expires: int, signature: str, now: float) -> bool:
    """Whether the signature grants this, now. HEAD is part of GET."""
    wanted = sign(signing_key, "GET" if method == "HEAD" else method, key, expires)
    return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace")) and now < expires
