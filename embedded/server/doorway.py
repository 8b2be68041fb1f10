"""Who gets in at all: loopback names only, no pages of other sites, no oversized bodies, a known token."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from embedded.access.identity import Authenticator, User
from embedded.machinery.errors import ApiError

MAX_BODY = 3 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def check_site(headers: Mapping[str, str]) -> None:
    """Refuse a browser that was led here: by a foreign name (DNS rebinding) or from a foreign page.

    Raises:
        ApiError: 403.
    """
    if _host(headers.get("Host", "")) not in _LOOPBACK:
        raise ApiError(403, "Forbidden", "this server answers to 127.0.0.1 and localhost only", {})
    origin = headers.get("Origin")
    if origin is not None and urllib.parse.urlsplit(origin).hostname not in _LOOPBACK:
        raise ApiError(403, "Forbidden", "requests from web pages of other sites are refused", {})


def _host(header: str) -> str:
    try:
        return urllib.parse.urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def user(headers: Mapping[str, str], authenticator: Authenticator) -> User:
    """Whose token the request carries.

    Raises:
        ApiError: 401.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    found = authenticator.user_of(token.strip()) if scheme.lower() == "bearer" and token else None
    if found is None:
        raise ApiError(401, "Unauthorized", "Unauthorized")
    return found
