"""Checks that come before any request: host and origin, authentication, impersonation."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from functools import lru_cache

from multidict import CIMultiDictProxy

from embedded.api.status_errors import ApiError, bad_request
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.tokens import AUTHENTICATED, Authenticator, User

MAX_BODY_BYTES = 3 << 20
_SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def check_origin(headers: Mapping[str, str]) -> None:
    """Reject requests for another host name (DNS rebinding) and from web pages of other sites.

    Raises:
        ApiError: 403.
    """
    if _host(headers.get("Host", "")) not in _LOOPBACK_HOSTS:
        raise ApiError(403, "Forbidden", "the Host header must be 127.0.0.1 or localhost", {})
    origin = headers.get("Origin")
    if origin is not None and urllib.parse.urlsplit(origin).hostname not in _LOOPBACK_HOSTS:
        raise ApiError(403, "Forbidden", "requests from web pages of other origins are not allowed", {})


@lru_cache(maxsize=64)
def _host(header: str) -> str:
    try:
        return urllib.parse.urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def authenticate(headers: Mapping[str, str], authenticator: Authenticator) -> User:
    """The user whose token the request carries.

    Raises:
        ApiError: 401.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    found = authenticator.authenticate(token.strip()) if scheme.lower() == "bearer" and token else None
    if found is None:
        raise ApiError(401, "Unauthorized", "Unauthorized")
    return found


def impersonate(headers: CIMultiDictProxy[str], user: User, authorizer: Authorizer) -> User:
    """The user to act as: the one that the impersonation headers name (`kubectl --as`), or the authenticated one.

    Raises:
        ApiError: 403.
    """
    name, groups = headers.get("Impersonate-User"), headers.getall("Impersonate-Group", [])
    if name is None:
        if groups:
            raise bad_request("Impersonate-Group needs Impersonate-User")
        return user
    resources = [("users", name), *(("groups", group) for group in groups)]
    if name.startswith(_SERVICE_ACCOUNT_PREFIX) and name.count(":") == 3:
        namespace, account = name.removeprefix(_SERVICE_ACCOUNT_PREFIX).split(":")
        resources[0] = ("serviceaccounts", account)
        groups = groups or ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    else:
        namespace = ""
    for resource, name_or_group in resources:
        where = namespace if resource == "serviceaccounts" else ""
        if not authorizer.allows(user, AccessRequest("impersonate", "", resource, where, name_or_group)):
            reason = f'User "{user.name}" cannot impersonate resource "{resource}" in API group "" at the cluster scope'
            details = {"name": name_or_group, "kind": resource}
            raise ApiError(403, "Forbidden", f'{resource} "{name_or_group}" is forbidden: {reason}', details)
    return User(name, "", tuple(dict.fromkeys((*groups, AUTHENTICATED))))
