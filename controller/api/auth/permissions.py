"""Who may call what: ONE table for every route, and the route class that refuses to exist without an entry in it.

A rule is checked before a body is read. Kubernetes decides (auth.py); this module says what it is asked.
"""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from controller.api.auth.authenticator import AccessRequest, Authenticator, InvalidTokenError, Tickets, User
from controller.api.http import problems
from controller.api.models.public import DIGEST_PATTERN, NAME_PATTERN
from controller.api.streaming.sse import Reauthorize
from controller.kube import KubeError

GROUP = "c8s.dev"
HANDLER_TIMEOUT = 30.0


@dataclass(frozen=True)
class Permission:
    """What a call needs.

    `kind`: `public` (health only); `user` (a valid token); `review` (a valid token and the right to `verb`
    the resource in the namespace of the path); `path` (the right to `get` the URL path, as Kubernetes guards
    its own metrics); `capability` (a run's token, checked by agent.py); `link` (a signed link, checked by
    objects.py). `named` says whether the name in the path is the resource's. `seconds` bounds the handler;
    None where the handler bounds its own transfers.
    """

    kind: Literal["public", "user", "review", "path", "capability", "link"]
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    group: str = GROUP
    timeout: float | None = HANDLER_TIMEOUT
    named: bool = True

    def describe(self) -> str:
        """What a caller needs, for readers of the API's description."""
        match self.kind:
            case "public":
                return "nothing"
            case "user":
                return "a valid token"
            case "review":
                what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
                return f"the right to {self.verb} {what} in the namespace"
            case "path":
                return f"the right to {self.verb} this path"
            case "capability":
                return "the capability token of a run"
        return "a valid signature"


def _runs(verb: str, subresource: str = "", seconds: float | None = HANDLER_TIMEOUT) -> Permission:
    return Permission("review", verb, "pipelineruns", subresource, timeout=seconds)


def _secrets(verb: str) -> Permission:
    return Permission("review", verb, "secrets", group="")


def _pipelines(verb: str) -> Permission:
    return Permission("review", verb, "pipelineconfigs")


PERMISSIONS: Mapping[str, Permission] = {
    "health": Permission("public"),
    "ready": Permission("public"),
    "metrics": Permission("path", "get"),
    "openapi": Permission("user"),
    "lint": Permission("user"),
    "cluster": Permission("user"),
    "createTicket": Permission("user"),
    "headSource": _runs("create"),
    "putSource": _runs("create", seconds=None),
    "listRuns": _runs("list"),
    "createRun": _runs("create"),
    "rerunRun": Permission("review", "create", "pipelineruns", named=False),
    "copyStep": Permission("review", "create", "pipelineruns", named=False),
    "listRunEvents": _runs("get"),
    "getRun": _runs("get"),
    "deleteRun": _runs("delete"),
    "cancelRun": _runs("update"),
    "watchRuns": _runs("watch"),
    "getLogs": _runs("get", "log"),
    "streamLogs": _runs("get", "log", seconds=None),
    "listArtifacts": _runs("get", "artifacts"),
    "getArtifacts": _runs("get", "artifacts"),
    "getArtifactFile": _runs("get", "artifacts", seconds=None),
    "execStep": Permission("review", "create", "pods", "exec", group="", timeout=None, named=False),
    "listPipelines": _pipelines("list"),
    "getPipeline": _pipelines("get"),
    "putPipeline": _pipelines("update"),
    "deletePipeline": _pipelines("delete"),
    "namespaceCluster": _runs("list"),
    "listSecrets": _secrets("list"),
    "putSecret": _secrets("update"),
    "deleteSecret": _secrets("delete"),
    "agentSource": Permission("capability"),
    "agentSourceUpload": Permission("capability"),
    "agentSourceManifest": Permission("capability"),
    "agentCacheLookup": Permission("capability"),
    "agentCacheUpload": Permission("capability"),
    "agentCacheManifest": Permission("capability"),
    "agentWorkspace": Permission("capability"),
    "agentWorkspaceUpload": Permission("capability"),
    "agentWorkspaceManifest": Permission("capability"),
    "agentArtifacts": Permission("capability"),
    "agentUpload": Permission("capability"),
    "agentManifest": Permission("capability"),
    "getObject": Permission("link"),
    "putObject": Permission("link", timeout=None),
}

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
PATH_PATTERNS = {
    "ns": re.compile(NAME_PATTERN),
    "run": re.compile(NAME_PATTERN),
    "name": re.compile(NAME_PATTERN),
    "pipeline": re.compile(NAME_PATTERN),
    "slug": re.compile(NAME_PATTERN),
    "digest": re.compile(DIGEST_PATTERN),
    "attempt": re.compile(r"^[1-9][0-9]{0,5}$"),
    "step": re.compile(r"^[^\x00-\x1f\x7f/]{1,200}$"),
}


class MissingPermissionError(Exception):
    """A route was added without a rule: give its operation id an entry in `RULES`."""


def permission_for(operation: str | None) -> Permission:
    """The rule of a route by its operation id."""
    if operation is None or operation not in PERMISSIONS:
        raise MissingPermissionError(f"route {operation!r} has no entry in controller.api.auth.permissions.RULES")
    return PERMISSIONS[operation]


class GuardedRoute(APIRoute):
    """A route whose caller is checked before its body is read, and whose handler can't run for ever."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the rule of this route."""
        rule = permission_for(self.operation_id)
        handler = super().get_route_handler()
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            try:
                async with asyncio.timeout(rule.timeout):
                    await authorize(request, rule)
                    if rule.kind != "public":
                        check_query(request.query_params, known)
                    if self.body_field is not None:
                        check_unicode(await request.body())
                    return await handler(request)
            except TimeoutError:
                detail = f"the controller did not finish within {rule.timeout or 0:g} s"
                raise problems.ApiProblemError("timeout", detail) from None
            except RequestValidationError as error:
                raise problems.problem_for_validation(error.errors()) from None

        return guarded


async def authorize(connection: HTTPConnection, permission: Permission, token: str | None = None) -> None:
    """Lets the caller in or raises a problem: 404 for names nothing can have, 401, 403.

    Sets `connection.state.user` for `user`, `review` and `path`, `.capability` for `capability`. `token` is
    that of a ticket; else the Authorization header's counts.
    """
    check_path(connection.path_params)
    if permission.kind in ("public", "link"):
        return
    if permission.kind == "capability":
        connection.state.capability = _run_capability(connection)
        return
    authenticator: Authenticator = connection.app.state.authenticator
    user = await authenticator.authenticate(token if token is not None else bearer_token(connection))
    connection.state.user = user
    if permission.kind == "user":
        return
    question = _access_request(connection, permission)
    if not await authenticator.is_allowed(user, question):
        raise _forbidden(user, question)


def _forbidden(user: User, question: AccessRequest) -> problems.ApiProblemError:
    return problems.ApiProblemError("forbidden", f"{user.name} may not {question.describe()}")


async def require_permission(
    connection: HTTPConnection,
    verb: str,
    resource: str,
    namespace: str,
    name: str = "",
    subresource: str = "",
    group: str = GROUP,
) -> None:
    """A right that a call needs besides that of its rule; a problem 403 when the caller has not got it."""
    question = AccessRequest(verb, group, resource, subresource, namespace=namespace, name=name)
    user: User = connection.state.user
    if not await connection.app.state.authenticator.allowed(user, question):
        raise _forbidden(user, question)


def _run_capability(connection: HTTPConnection) -> object:
    found = connection.app.state.capability(bearer_token(connection))
    if found is None:
        raise unauthenticated("the token is not a run's capability token, or no longer valid")
    return found


async def authorize_websocket(socket: WebSocket, operation: str, ticket: str | None) -> Reauthorize:
    """Lets the caller of a WebSocket in, by header or ticket, or raises a problem; how to ask again while it is open.

    A ticket's token is asked about each time too: a token that is taken away closes what was opened with it.
    """
    check_path(socket.path_params)
    token = None
    if ticket is not None:
        tickets: Tickets = socket.app.state.tickets
        token = tickets.redeem(ticket, socket.url.path).token
    async with asyncio.timeout(HANDLER_TIMEOUT):
        await authorize(socket, permission_for(operation), token)
    return reauthorizer(socket, operation, token)


def reauthorizer(connection: HTTPConnection, operation: str, token: str | None = None) -> Reauthorize:
    """Asks again, for the reader of a stream, what was asked when it began.

    A Kubernetes that can't be asked right now takes nobody's right away.
    """

    async def ask() -> bool:
        try:
            await authorize(connection, permission_for(operation), token)
        except (problems.ApiProblemError, InvalidTokenError):
            return False
        except KubeError:
            return True
        return True

    return ask


def check_path(params: Mapping[str, Any]) -> None:
    """Names in the path become parts of Kubernetes URLs and object keys: what can't be a name doesn't exist."""
    for key, value in params.items():
        shape = PATH_PATTERNS.get(key)
        if shape is not None and not shape.fullmatch(str(value)):
            raise problems.ApiProblemError("not-found", f"nothing can have this {_NOUNS.get(key, key)}")


def check_query(given: Iterable[str], known: Collection[str]) -> None:
    """A misspelled filter must not be a list of everything."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        wanted = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise problems.ApiProblemError("bad-request", f"this call has no parameter {unknown[0][:100]!r}; {wanted}")


def check_unicode(body: bytes) -> None:
    """JSON can spell half of a character (a lone surrogate), which no file, log or answer could hold."""
    if _SURROGATE.search(body) is None:
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise problems.ApiProblemError("invalid", "a text in the body is not valid Unicode") from None
    except (ValueError, RecursionError):
        return  # not JSON at all: the framework says so better


def bearer_token(connection: HTTPConnection) -> str:
    """The token of the Authorization header; a problem 401 when there is none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("send a token: Authorization: Bearer …")
    return token


def unauthenticated(detail: str) -> problems.ApiProblemError:
    """A 401 with the challenge that HTTP asks for."""
    return problems.ApiProblemError("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="c8s"'})


def _access_request(connection: HTTPConnection, rule: Permission) -> AccessRequest:
    if rule.kind == "path":
        return AccessRequest(verb=rule.verb, path=connection.url.path)
    named = next(
        (connection.path_params[key] for key in ("run", "pipeline", "name") if key in connection.path_params), ""
    )
    return AccessRequest(
        verb=rule.verb,
        group=rule.group,
        resource=rule.resource,
        subresource=rule.subresource,
        namespace=str(connection.path_params["ns"]),
        name=str(named) if rule.named else "",
    )


_NOUNS = {
    "ns": "namespace",
    "run": "run's name",
    "name": "name",
    "pipeline": "pipeline's name",
    "slug": "step's slug",
    "step": "step's name",
}
