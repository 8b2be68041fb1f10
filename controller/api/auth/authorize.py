"""Authorizes the caller of a request or WebSocket by the permission of its operation.

Kubernetes decides, by TokenReview and SubjectAccessReview (`authenticator.py`); this module says what it is asked.
"""

import asyncio
from typing import Protocol

from fastapi import WebSocket
from starlette.requests import HTTPConnection

from controller.api.auth.authenticator import AccessRequest, Authenticator, InvalidTokenError, Tickets, User
from controller.api.auth.paths import check_path
from controller.api.auth.permissions import GROUP, HANDLER_TIMEOUT, Permission, permission_for
from controller.api.http.problems import ApiProblemError
from controller.kube import KubeError


class Reauthorize(Protocol):
    """Asks whether the reader of a stream is still authorized: a stream may outlive a permission."""

    async def __call__(self) -> bool: ...


async def authorize(connection: HTTPConnection, permission: Permission, credential: str | User | None = None) -> None:
    """Raises a problem unless the caller has the permission: 404 for impossible names, 401 or 403.

    Sets `connection.state.user` for `user`, `review` and `path`, `.capability` for `capability`.

    Args:
        credential: the token of a ticket or a session, or a user who is authenticated already; without one, the
            token of the Authorization header counts.
    """
    check_path(connection.path_params)
    if permission.kind in ("public", "link"):
        return
    if permission.kind == "capability":
        connection.state.capability = _run_capability(connection)
        return
    authenticator: Authenticator = connection.app.state.authenticator
    if isinstance(credential, User):
        user = credential
    else:
        user = await authenticator.authenticate(credential if credential is not None else bearer_token(connection))
    connection.state.user = user
    if permission.kind == "user":
        return
    access = _access_request(connection, permission)
    if not await authenticator.is_allowed(user, access):
        raise _forbidden(user, access)


async def require_permission(
    connection: HTTPConnection,
    verb: str,
    resource: str,
    namespace: str,
    name: str = "",
    subresource: str = "",
    group: str = GROUP,
) -> None:
    """Raises a problem 403 unless the caller also has this permission, besides that of the operation."""
    access = AccessRequest(verb, group, resource, subresource, namespace=namespace, name=name)
    user: User = connection.state.user
    if not await connection.app.state.authenticator.is_allowed(user, access):
        raise _forbidden(user, access)


async def authorize_websocket(socket: WebSocket, operation: str, ticket: str | None) -> Reauthorize:
    """Authorizes the caller of a WebSocket by header or ticket, or raises a problem; how to ask again while it is open.

    The token behind a ticket is reviewed each time too: revoking it closes what was opened with it.
    """
    check_path(socket.path_params)
    token = None
    if ticket is not None:
        tickets: Tickets = socket.app.state.tickets
        token = tickets.redeem(ticket, socket.url.path).token
    async with asyncio.timeout(HANDLER_TIMEOUT):
        await authorize(socket, permission_for(operation), token)
    return reauthorizer(socket, operation, token)


def reauthorizer(connection: HTTPConnection, operation: str, credential: str | User | None = None) -> Reauthorize:
    """Repeats, for the reader of a stream, the authorization with which it was opened.

    While Kubernetes can't be reached, the last answer stands.
    """

    async def is_still_authorized() -> bool:
        try:
            await authorize(connection, permission_for(operation), credential)
        except (ApiProblemError, InvalidTokenError):
            return False
        except KubeError:
            return True
        return True

    return is_still_authorized


def bearer_token(connection: HTTPConnection) -> str:
    """The token of the Authorization header; a problem 401 when there is none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("send a token: Authorization: Bearer …")
    return token


def unauthenticated(detail: str) -> ApiProblemError:
    """A problem 401 with the challenge that HTTP requires."""
    return ApiProblemError("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="c8s"'})


def _forbidden(user: User, access: AccessRequest) -> ApiProblemError:
    return ApiProblemError("forbidden", f"{user.name} may not {access.describe()}")


def _run_capability(connection: HTTPConnection) -> object:
    found = connection.app.state.capability(bearer_token(connection))
    if found is None:
        raise unauthenticated("the token is not a run's capability token, or no longer valid")
    return found


def _access_request(connection: HTTPConnection, permission: Permission) -> AccessRequest:
    if permission.kind == "path":
        return AccessRequest(verb=permission.verb, path=connection.url.path)
    params = connection.path_params
    name = next((params[key] for key in ("run", "pipeline", "name") if key in params), "")
    return AccessRequest(
        verb=permission.verb,
        group=permission.group,
        resource=permission.resource,
        subresource=permission.subresource,
        namespace=str(params["ns"]),
        name=str(name) if permission.named else "",
    )
