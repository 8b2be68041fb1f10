"""URLs of objects that carry their own permission: a signature over method, key and expiry. Pure.

A directory store has no server of its own, so its URLs lead to the controller's API, which verifies them.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from controller import signing
from controller.storage.keys import check_key

OBJECTS_PATH = "/api/v1/objects/"


@dataclass(frozen=True)
class SignedOptions:
    """What a URL determines besides object, method and expiry: headers of the response, or the size of the upload."""

    content_type: str | None = None
    filename: str | None = None
    size: int | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query parameters of the URL."""
        given = {"contentType": self.content_type, "filename": self.filename, "size": self.size}
        return {name: str(value) for name, value in given.items() if value is not None}


NO_OPTIONS = SignedOptions()


def sign(signing_key: bytes, method: str, key: str, expires: int, options: SignedOptions = NO_OPTIONS) -> str:
    """The signature in hex; `expires` is in seconds since 1970."""
    fields = [method, key, str(expires)]
    if options.query:
        fields.append(urlencode(options.query))
    return signing.sign(signing_key, "c8s-object-link-1", *fields)


def signed_url(
    signing_key: bytes, public_url: str, method: str, key: str, expires: int, options: SignedOptions = NO_OPTIONS
) -> str:
    """The URL that permits `method` on `key` until `expires`."""
    signature = sign(signing_key, method, key, expires, options)
    query = {"expires": expires, "method": method, **options.query, "signature": signature}
    return f"{public_url.rstrip('/')}{OBJECTS_PATH}{quote(check_key(key))}?{urlencode(query)}"


def verify_signature(
    signing_key: bytes,
    *,
    method: str,
    key: str,
    expires: int,
    signature: str,
    now: float,
    options: SignedOptions = NO_OPTIONS,
) -> bool:
    """Whether the signature grants this now. HEAD is part of GET."""
    expected = sign(signing_key, "GET" if method == "HEAD" else method, key, expires, options)
    return signing.is_same(expected, signature) and now < expires
