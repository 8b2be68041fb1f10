"""Builds the ASGI application: routes behind permissions, problems for all errors, middleware around it."""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Response, WebSocket
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.websockets import WebSocketState

from controller.api import openapi
from controller.api.auth.authenticator import InvalidTokenError
from controller.api.auth.authorize import unauthenticated
from controller.api.http import problems
from controller.api.http.middleware import CLOSE_INTERNAL_ERROR, App, with_middleware
from controller.api.http.problems import ApiProblemError
from controller.api.routes import (
    cluster,
    connections,
    lint,
    namespaces,
    objects,
    pipelines,
    runs,
    secrets,
    sources,
    statistics,
    system,
    watch,
)
from controller.api.routes.agent import artifacts as agent
from controller.api.routes.agent import caches, gate, reports, source, workspaces
from controller.api.routes.agent import tests as agent_tests
from controller.api.routes.run import artifacts, breakpoints, debug_copies, exec, logs, reuse, tests
from controller.api.state import AppState
from controller.kube import ConflictError, ForbiddenError, KubeError, NotFoundError, UnreachableError
from controller.logs import BadArchiveError, LogError, LogNotFoundError
from controller.storage import InvalidKeyError, ObjectNotFoundError, StorageError, StoreFullError
from controller.storage.errors import BrokenArchiveError

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
    breakpoints.router,
    reuse.router,
    debug_copies.router,
    tests.router,
    statistics.router,
    artifacts.router,
    sources.router,
    secrets.router,
    connections.router,
    agent.router,
    source.router,
    caches.router,
    workspaces.router,
    reports.router,
    agent_tests.router,
    gate.router,
    objects.router,
)

log = logging.getLogger("c8s.api")


def create_app(state: AppState, extend: Callable[[FastAPI], None] = lambda _: None) -> App:
    """The ASGI application on this state, behind all middleware. `extend` adds routes of other packages."""
    app = build_app()
    app.state.api_state = state
    app.state.authenticator = state.authenticator
    app.state.tickets = state.tickets
    app.state.capability = state.capability
    extend(app)
    return with_middleware(
        app,
        hosts=state.settings.allowed_hosts,
        origins=state.settings.allowed_origins,
        new_request_id=state.new_request_id,
        observe=state.metrics.observe_request,
    )


def build_app() -> FastAPI:
    """The routes and their OpenAPI document, without state behind them."""
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
        # Flat, not included: a request's route is then the route itself, in metrics and in tests that walk the routes.
        app.router.routes.extend(router.routes)
    for error in HANDLED_ERRORS:
        # One handler for requests and WebSockets; the framework's types know only one or the other.
        app.add_exception_handler(error, cast(Any, _handle_error))
    app.openapi = functools.cache(lambda: openapi.build(app))  # type: ignore[method-assign]
    return app


async def _handle_error(connection: HTTPConnection, error: Exception) -> Response | None:
    """Handles expected errors, of requests and of WebSockets that are not open yet."""
    problem = to_problem(error)
    if problem.slug == "method-not-allowed":
        problem.headers = {"Allow": ", ".join(_allowed_methods(connection))}
    request_id = connection.scope.get("state", {}).get("request_id")
    if problem.kind.status >= 500:
        cause = f"{type(error).__name__}: {error}"
        log.warning("answered with a problem", extra={"request": request_id, "problem": problem.slug, "cause": cause})
    body = problems.encode_problem(problem.document(request_id))
    answer = Response(body, problem.kind.status, dict(problem.headers), media_type=problems.MEDIA_TYPE)
    if not isinstance(connection, WebSocket):
        return answer
    if connection.application_state is WebSocketState.CONNECTING:
        await connection.send_denial_response(answer)
    elif connection.application_state is WebSocketState.CONNECTED:
        await connection.close(CLOSE_INTERNAL_ERROR)
    return None


def _allowed_methods(connection: HTTPConnection) -> list[str]:
    """The methods of a path: one path is several routes, each of which knows only its own."""
    found = set()
    for route in connection.app.routes:
        if isinstance(route, APIRoute) and route.matches(connection.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def to_problem(error: Exception) -> ApiProblemError:
    """The problem that reports an error to the client, without what only the log should hold."""
    match error:
        case ApiProblemError():
            return error
        case HTTPException():
            problem = problems.problem_for_status(
                error.status_code, _STATUS_DETAILS.get(error.status_code, str(error.detail))
            )
            problem.headers = dict(error.headers or {})
            return problem
        case InvalidTokenError():
            return unauthenticated(str(error))
        case WebSocketRequestValidationError():
            return problems.problem_for_validation(error.errors())
        case NotFoundError():
            return ApiProblemError("not-found", "the object does not exist, or no longer")
        case ConflictError():
            return ApiProblemError("conflict", "the object was changed at the same time; read it again and retry")
        case ForbiddenError():
            return ApiProblemError(
                "cluster-refused", "Kubernetes refused: the controller's role lacks a required permission"
            )
        case UnreachableError():
            detail = "the Kubernetes API can't be reached"
            return ApiProblemError("unavailable", detail, headers={"Retry-After": "1"})
        case KubeError():
            return ApiProblemError(
                "cluster-refused", "the Kubernetes API refused the request; see the controller's log"
            )
        case ObjectNotFoundError():
            return ApiProblemError("not-found", "the object is not in the store, or no longer")
        case BrokenArchiveError():
            return ApiProblemError("not-found", f"what is stored of it is damaged and counts as missing: {error}")
        case LogNotFoundError():
            return ApiProblemError("not-found", "there is no such log (yet)")
        case BadArchiveError():
            return ApiProblemError("not-found", "the stored log is damaged and counts as missing")
        case LogError():
            return ApiProblemError("internal", "the log can't be read; see the controller's log")
        case InvalidKeyError():
            # Never later either: agents must not try again.
            return ApiProblemError("invalid", "no object can have this name: a part of it is too long or not allowed")
        case StoreFullError():
            return ApiProblemError("unavailable", "the object store is full; free some space")
        case StorageError():
            detail = "the object store is not available"
            return ApiProblemError("unavailable", detail, headers={"Retry-After": "1"})
    return ApiProblemError("internal", "the controller failed on this request; see its log")


_STATUS_DETAILS = {404: "there is no such path", 405: "this path does not take this method"}
HANDLED_ERRORS = (
    ApiProblemError,
    BrokenArchiveError,
    HTTPException,
    InvalidTokenError,
    KubeError,
    LogError,
    StorageError,
    WebSocketRequestValidationError,
    # The framework answers with this one and raises the error again; ErrorMiddleware logs it.
    Exception,
)
