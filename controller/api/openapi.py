"""Completes FastAPI's OpenAPI document: security, problem responses, patterns of path parameters and WebSockets.

What is special about one operation is declared where its route is (`responses=`, `openapi_extra=`,
`describe_websocket`). A copy of the document is committed in docs/openapi.json; a test compares the two.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIWebSocketRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from controller.api.auth.paths import PATH_PATTERNS
from controller.api.auth.permissions import PERMISSIONS, Permission
from controller.api.http.problems import MEDIA_TYPE, TYPES, URN
from controller.api.models.agent import Manifest
from controller.api.models.common import ProblemDocument
from controller.run_types.schema import openapi_schemas

Operation = dict[str, Any]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_REF = "#/components/schemas/{model}"
_READ_BY_ROUTES: tuple[type[BaseModel], ...] = (Manifest,)
_BINARY = {"type": "string", "format": "binary"}
_WEBSOCKET = "__openapi_operation__"
_PROBLEM = {
    "description": "A problem (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDocument")}}},
}


def binary_response(media_type: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that returns bytes, not JSON."""
    return {200: {"content": {media_type: {"schema": _BINARY}}}}


def redirect_response() -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route with the parameter `redirect`."""
    return {302: {"description": "With `redirect=true`: a signed link in `Location`"}}


def binary_body(media_type: str) -> dict[str, Any]:
    """`openapi_extra=` of a route that takes bytes."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": _BINARY}}}}


def json_body(model: str) -> dict[str, Any]:
    """`openapi_extra=` of a route that reads its JSON body itself. The model must be one of `_READ_BY_ROUTES`."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=model)}}},
        }
    }


def describe_websocket(
    *, description: str, tag: str, path: Sequence[str], query: Sequence[Mapping[str, Any]]
) -> Callable[[Endpoint], Endpoint]:
    """Describes the WebSocket of an endpoint: FastAPI leaves WebSockets out. The route's name is the operation id."""
    named = [{"in": "path", "name": name, "required": True, "schema": {"type": "string"}} for name in path]

    def decorate(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _WEBSOCKET, {"tag": tag, "description": description, "parameters": [*named, *query]})
        return endpoint

    return decorate


def query_list(name: str, description: str) -> dict[str, Any]:
    """A query parameter of a WebSocket that may be repeated."""
    schema = {"type": "array", "items": {"type": "string"}}
    return {"in": "query", "name": name, "description": description, "explode": True, "schema": schema}


def query(name: str, **schema: Any) -> dict[str, Any]:
    """A query parameter of a WebSocket."""
    return {"in": "query", "name": name, "schema": schema}


def build(app: FastAPI) -> dict[str, Any]:
    """The whole document of the app. It takes about a second, so the app caches it."""
    document = FastAPI.openapi(app)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    described: list[Any] = [(ProblemDocument, "serialization"), *((each, "validation") for each in _READ_BY_ROUTES)]
    _, own_schemas = models_json_schema(described, ref_template=_REF)
    schemas.update(own_schemas["$defs"])
    schemas["ProblemDocument"]["properties"]["type"]["enum"] = [URN + slug for slug in TYPES]
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "a Kubernetes token"},
        "capability": {"type": "http", "scheme": "bearer", "description": "a run's capability token"},
        "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
    }
    schemas |= openapi_schemas()
    schemas["Run"]["properties"]["status"] = {"$ref": _REF.format(model="RunStatus")}
    for route in app.routes:
        if isinstance(route, APIWebSocketRoute):
            document["paths"][route.path] = {"get": _websocket_operation(route)}
    for path in document["paths"].values():
        for operation in path.values():
            permission = PERMISSIONS[operation["operationId"]]
            _add_security(operation, permission)
            _add_problems(operation, permission)
            _add_path_patterns(operation)
    # FastAPI's own error models: these errors are answered as problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def _websocket_operation(route: APIWebSocketRoute) -> Operation:
    described = getattr(route.endpoint, _WEBSOCKET)
    return {
        "tags": [described["tag"]],
        "operationId": route.name,
        "summary": route.endpoint.__name__.replace("_", " ").title(),
        "description": described["description"],
        "parameters": [dict(each) for each in described["parameters"]],
        "responses": {"101": {"description": "Switching Protocols"}},
    }


def _add_security(operation: Operation, permission: Permission) -> None:
    operation["security"] = {
        "public": [],
        "link": [],
        "capability": [{"capability": []}],
    }.get(permission.kind, [{"bearer": []}])
    if "101" in operation["responses"]:
        operation["security"].append({"ticket": []})
    description = operation.get("description", "").rstrip()
    operation["description"] = f"{description}\n\nNeeds: {permission.describe()}.".strip()


def _add_problems(operation: Operation, permission: Permission) -> None:
    """Problems in place of FastAPI's 422, and for every status that such an operation may answer."""
    responses = operation["responses"]
    responses.pop("422", None)
    responses["default"] = _PROBLEM
    for status in _problem_statuses(operation, permission):
        responses.setdefault(str(status), _problem_response(status))


def _problem_statuses(operation: Operation, permission: Permission) -> list[int]:
    """The statuses of problems that the operation may answer, besides those of its own."""
    found = [400, 421, 500, 503]
    if permission.kind not in ("public", "link"):
        found += [401]
    if permission.kind in ("review", "path", "link"):
        found += [403]
    if any(each["in"] == "path" for each in operation.get("parameters", ())):
        found += [404]
    if "requestBody" in operation:
        found += [413]
    if operation.get("parameters") or "requestBody" in operation:
        found += [422]
    return sorted(found)


def _problem_response(status: int) -> dict[str, Any]:
    """The problems with this status, by name."""
    kinds = [kind for kind in TYPES.values() if kind.status == status]
    names = ", ".join(f"`{kind.slug}`" for kind in kinds)
    first = kinds[0]
    example = {"type": URN + first.slug, "title": first.title, "status": status, "detail": "what was wrong this time"}
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDocument")}, "example": example}}
    return {"description": f"A problem: {names}", "content": content}


def _add_path_patterns(operation: Operation) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in PATH_PATTERNS:
            parameter["schema"]["pattern"] = PATH_PATTERNS[parameter["name"]].pattern
