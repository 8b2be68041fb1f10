"""Who gets in at all: loopback names only, no pages of other sites, no oversized bodies, a known token."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from multidict import CIMultiDictProxy

from embedded.api.status_errors import ApiError, bad_request
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.tokens import AUTHENTICATED, Authenticator, User

MAX_BODY_BYTES = 3 << 20
_SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def check_origin(headers: Mapping[str, str]) -> None:
    """Refuse a browser that was led here: by a foreign name (DNS rebinding) or from a foreign page.

    Raises:
        ApiError: 403.
    """
    if _host(headers.get("Host", "")) not in _LOOPBACK_HOSTS:
        raise ApiError(403, "Forbidden", "this server answers to 127.0.0.1 and localhost only", {})
    origin = headers.get("Origin")
    if origin is not None and urllib.parse.urlsplit(origin).hostname not in _LOOPBACK_HOSTS:
        raise ApiError(403, "Forbidden", "requests from web pages of other sites are refused", {})


def _host(header: str) -> str:
    try:
        return urllib.parse.urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def authenticate(headers: Mapping[str, str], authenticator: Authenticator) -> User:
    """Whose token the request carries.

    Raises:
        ApiError: 401.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    found = authenticator.authenticate(token.strip()) if scheme.lower() == "bearer" and token else None
    if found is None:
        raise ApiError(401, "Unauthorized", "Unauthorized")
    return found


def impersonate(headers: CIMultiDictProxy[str], user: User, authorizer: Authorizer) -> User:
    """Whom the request is to be made as: another user when it says so and may (`kubectl --as`).

    Raises:
        ApiError: 403.
    """
    name, groups = headers.get("Impersonate-User"), headers.getall("Impersonate-Group", [])
    if name is None:
        if groups:
            raise bad_request("Impersonate-Group needs Impersonate-User")
        return user
    wanted = [("users", name), *(("groups", group) for group in groups)]
    if name.startswith(_SERVICE_ACCOUNT_PREFIX) and name.count(":") == 3:
        namespace, account = name.removeprefix(_SERVICE_ACCOUNT_PREFIX).split(":")
        wanted[0] = ("serviceaccounts", account)
        groups = groups or ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    else:
        namespace = ""
    for resource, which in wanted:
        where = namespace if resource == "serviceaccounts" else ""
        if not authorizer.allows(user, AccessRequest("impersonate", "", resource, where, which)):
            why = f'User "{user.name}" cannot impersonate resource "{resource}" in API group "" at the cluster scope'
            details = {"name": which, "kind": resource}
            raise ApiError(403, "Forbidden", f'{resource} "{which}" is forbidden: {why}', details)
    return User(name, "", tuple(dict.fromkeys((*groups, AUTHENTICATED))))
