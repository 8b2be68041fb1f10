"""URLs of objects that carry their own permission: a signature over method, key, expiry and content. Pure.

A directory store has no server of its own, so its URLs lead to the controller's API, which verifies them.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from controller import signing
from controller.storage.keys import check_key

OBJECTS_PATH = "/api/v1/objects/"


@dataclass(frozen=True)
class ObjectGrant:
    """What a URL permits until `expires`, in seconds since 1970: to read an object, or to upload certain bytes for it.

    Attributes:
        method: GET or PUT.
        content_type: the media type of the response.
        filename: the file name of the response.
        size: of what is uploaded, in bytes.
        sha256: its digest (hex).
    """

    method: str
    key: str
    expires: int
    content_type: str | None = None
    filename: str | None = None
    size: int | None = None
    sha256: str | None = None

    def url(self, signing_key: bytes, public_url: str) -> str:
        """The URL that permits it."""
        signature = self._sign(signing_key)
        query = {"expires": self.expires, "method": self.method, **self._content, "signature": signature}
        return f"{public_url.rstrip('/')}{OBJECTS_PATH}{quote(check_key(self.key))}?{urlencode(query)}"

    def is_granted(self, signing_key: bytes, signature: str, now: float) -> bool:
        """Whether the signature grants this now."""
        return signing.is_same(self._sign(signing_key), signature) and now < self.expires

    @property
    def _content(self) -> dict[str, str]:
        """The query parameters of what the URL determines besides object, method and expiry."""
        given = {"contentType": self.content_type, "filename": self.filename, "size": self.size, "sha256": self.sha256}
        return {name: str(value) for name, value in given.items() if value is not None}

    def _sign(self, signing_key: bytes) -> str:
        fields = (self.method, self.key, str(self.expires), urlencode(self._content))
        return signing.sign(signing_key, "c8s-object-link-2", *fields)
