"""Puts the API together: routes behind their rules, problems for whatever goes wrong, the doorway around it all."""

import logging
from collections.abc import Sequence
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Response, WebSocket
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.websockets import WebSocketState

from controller.api.artifacts.archive import BrokenArchiveError
from controller.api.auth.authenticator import InvalidToken
from controller.api.auth.permissions import unauthenticated
from controller.api.http import problems
from controller.api.http.middleware import Doorway, Entrance
from controller.api.http.problems import ApiProblem
from controller.api.routes import (
    artifacts,
    cluster,
    debug_copies,
    exec,
    lint,
    logs,
    namespaces,
    objects,
    pipelines,
    runs,
    secrets,
    sources,
    system,
    watch,
)
from controller.api.routes.agent import artifacts as agent
from controller.api.routes.agent import caches, source, workspaces
from controller.api.state import Services
from controller.kube import Conflict, Forbidden, KubeError, NotFound, Unreachable
from controller.logs import LogError, NoSuchLogError
from controller.storage import ObjectNotFoundError, StorageError, StoreFullError

VERSION = "v1"
ROUTERS: Sequence[APIRouter] = (
    system.router,
    lint.router,
    cluster.router,
    namespaces.router,
    pipelines.router,
    runs.router,
    watch.router,
    logs.router,
    exec.router,
    debug_copies.router,
    artifacts.router,
    sources.router,
    secrets.router,
    agent.router,
    source.router,
    caches.router,
    workspaces.router,
    objects.router,
)

FAILED = 1011

log = logging.getLogger("c8s.api")


def create_app(services: Services) -> Entrance:
    """The ASGI application on these services."""
    settings = services.settings
    doorway = Doorway(
        hosts=settings.allowed_hosts,
        origins=settings.allowed_origins,
        new_id=services.new_id,
        observe=services.meter.observe,
    )
    app = routes()
    app.state.services = services
    app.state.authenticator = services.authenticator
    app.state.tickets = services.tickets
    app.state.capability = services.capability
    return Entrance(app, doorway)


def routes() -> FastAPI:
    """The routes and their OpenAPI document, without anything behind them."""
    app = FastAPI(
        title="c8s controller",
        version=VERSION,
        description="Runs of pipelines on Kubernetes: create, watch, read. Explained in docs/api.md.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in ROUTERS:
        # Flat, not included: a request's route is then the route itself, in metrics and in the tests' walk of them.
        app.router.routes.extend(router.routes)
    for error in ANSWERED:
        # One handler for requests and sockets; the framework's types know only one or the other.
        app.add_exception_handler(error, cast(Any, _answer))
    return app


async def _answer(connection: HTTPConnection, error: Exception) -> Response | None:
    """The handler of everything foreseen, for requests and for sockets that aren't open yet."""
    problem = to_problem(error)
    if problem.slug == "method-not-allowed":
        problem.headers = {"Allow": ", ".join(_methods(connection))}
    request_id = connection.scope.get("state", {}).get("request_id")
    if problem.kind.status >= 500:
        cause = f"{type(error).__name__}: {error}"
        log.warning("answered with a problem", extra={"request": request_id, "problem": problem.slug, "cause": cause})
    body = problems.encode(problem.document(request_id))
    answer = Response(body, problem.kind.status, dict(problem.headers), media_type=problems.MEDIA_TYPE)
    if not isinstance(connection, WebSocket):
        return answer
    if connection.application_state is WebSocketState.CONNECTING:
        await connection.send_denial_response(answer)
    elif connection.application_state is WebSocketState.CONNECTED:
        await connection.close(FAILED)
    return None


def _methods(connection: HTTPConnection) -> list[str]:
    """What the path takes: one path is several routes, and each of them knows of itself only."""
    found = set()
    for route in connection.app.routes:
        if isinstance(route, APIRoute) and route.matches(connection.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def to_problem(error: Exception) -> ApiProblem:
    """The problem that tells a caller about an error from below, without what only the log should hold."""
    match error:
        case ApiProblem():
            return error
        case HTTPException():
            problem = problems.of_status(error.status_code, _STATUS_WORDS.get(error.status_code, str(error.detail)))
            problem.headers = dict(error.headers or {})
            return problem
        case InvalidToken():
            return unauthenticated(str(error))
        case WebSocketRequestValidationError():
            return problems.of_validation(error.errors())
        case NotFound():
            return ApiProblem("not-found", "what was asked for is not there (any more)")
        case Conflict():
            return ApiProblem("conflict", "someone else changed the object at the same time; look again and try again")
        case Forbidden():
            return ApiProblem(
                "cluster-refused", "Kubernetes does not let the controller do this: its role lacks a right"
            )
        case Unreachable():
            detail = "the Kubernetes API can't be reached right now"
            return ApiProblem("unavailable", detail, headers={"Retry-After": "1"})
        case KubeError():
            return ApiProblem(
                "cluster-refused", "the Kubernetes API refused the request; the controller's log says why"
            )
        case ObjectNotFoundError():
            return ApiProblem("not-found", "what was asked for is not in the store (any more)")
        case BrokenArchiveError():
            return ApiProblem("internal", "the archive can't be read; the controller's log says why")
        case NoSuchLogError():
            return ApiProblem("not-found", "there is no such log (yet)")
        case LogError():
            return ApiProblem("internal", "the log can't be read; the controller's log says why")
        case StoreFullError():
            return ApiProblem("unavailable", "the object store is full; someone must make room")
        case StorageError():
            detail = "the object store can't be used right now"
            return ApiProblem("unavailable", detail, headers={"Retry-After": "1"})
    return ApiProblem("internal", "the controller failed on this request; its log says why")


_STATUS_WORDS = {404: "there is no such path", 405: "this path does not take this method"}
ANSWERED = (
    ApiProblem,
    BrokenArchiveError,
    HTTPException,
    InvalidToken,
    KubeError,
    LogError,
    StorageError,
    WebSocketRequestValidationError,
    # The framework answers with this one and raises the error again, for the entrance to log.
    Exception,
)
