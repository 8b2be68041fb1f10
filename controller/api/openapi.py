"""The OpenAPI document: what the framework derives from the routes, with the problems, rights and the socket added.

The copy in docs/openapi.json is what clients are written against; a test compares the two.
"""

import functools
import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from controller.api.auth.permissions import PATH_PATTERNS, PERMISSIONS, Permission
from controller.api.http.problems import MEDIA_TYPE, TYPES, URN
from controller.api.models.public import ProblemDocument

REF = "#/components/schemas/{model}"
RUN_PATH = "/api/v1/namespaces/{ns}/runs/{run}"


def text() -> str:
    """What docs/openapi.json has to hold (`python -m controller.api.openapi`)."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


@functools.cache
def document() -> dict[str, Any]:
    """The whole document; built once, because it takes a while."""
    from controller.api.app import build_app

    found = build_app().openapi()
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    _, problem_schemas = models_json_schema([(ProblemDocument, "serialization")], ref_template=REF)
    schemas.update(problem_schemas["$defs"])
    schemas["ProblemDocument"]["properties"]["type"]["enum"] = [URN + slug for slug in TYPES]
    found["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "a Kubernetes token"},
        "capability": {"type": "http", "scheme": "bearer", "description": "a run's capability token"},
        "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
    }
    found["paths"][f"{RUN_PATH}/logs/stream"] = {"get": _log_socket()}
    found["paths"][f"{RUN_PATH}/steps/{{step}}/exec"] = {"get": _exec_socket()}
    for path in found["paths"].values():
        for operation in path.values():
            _say_who_may(operation, PERMISSIONS[operation["operationId"]])
            _say_what_goes_over_the_wire(operation)
    # The framework's own shapes of errors: they are answered as problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return found


def _say_who_may(operation: dict[str, Any], rule: Permission) -> None:
    operation["security"] = {
        "public": [],
        "link": [],
        "capability": [{"capability": []}],
    }.get(rule.kind, [{"bearer": []}])
    if operation["operationId"] in SOCKETS:
        operation["security"].append({"ticket": []})
    needs = rule.describe()
    said = operation.get("description", "").rstrip()
    operation["description"] = f"{said}\n\nNeeds: {needs}.".strip()


def _say_what_goes_over_the_wire(operation: dict[str, Any]) -> None:
    """Streams and files, which the framework knows nothing of, the form of names, and problems for all else."""
    responses, name = operation["responses"], operation["operationId"]
    responses.pop("422", None)
    responses["default"] = _PROBLEM
    for status in _statuses(PERMISSIONS[name], operation):
        responses.setdefault(str(status), _problem(status))
    if name in _UPLOADED:
        operation["requestBody"] = {"required": True, "content": {_UPLOADED[name]: {"schema": _BYTES}}}
    if name in _DOWNLOADED:
        schema = {"type": "object"} if _DOWNLOADED[name].endswith("json") else _BYTES
        responses["200"] = {"description": "Successful Response", "content": {_DOWNLOADED[name]: {"schema": schema}}}
    if name in _REDIRECTED:
        responses["302"] = {"description": "With `redirect=true`: a signed link in `Location`"}
    if name == "ready":
        responses["503"] = {**responses["200"], "description": "Not ready"}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in PATH_PATTERNS:
            parameter["schema"]["pattern"] = PATH_PATTERNS[parameter["name"]].pattern


def _statuses(rule: Permission, operation: dict[str, Any]) -> list[int]:
    """The problems that every call with such a rule may answer, besides those of its own."""
    found = [400, 421, 500, 503]
    if rule.kind not in ("public", "link"):
        found += [401]
    if rule.kind in ("review", "path", "link"):
        found += [403]
    if any(each["in"] == "path" for each in operation.get("parameters", ())):
        found += [404]
    if "requestBody" in operation:
        found += [413]
    if operation.get("parameters") or "requestBody" in operation:
        found += [422]
    return sorted(found)


def _problem(status: int) -> dict[str, Any]:
    """The problems of this status, by name."""
    kinds = [kind for kind in TYPES.values() if kind.status == status]
    names = ", ".join(f"`{kind.slug}`" for kind in kinds)
    first = kinds[0]
    shown = {"type": URN + first.slug, "title": first.title, "status": status, "detail": "what was wrong this time"}
    content = {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="ProblemDocument")}, "example": shown}}
    return {"description": f"A problem: {names}", "content": content}


def _log_socket() -> dict[str, Any]:
    return {
        "tags": ["logs"],
        "operationId": "streamLogs",
        "summary": "Stream Logs",
        "description": "A WebSocket: log lines of many steps, what there is, then live. docs/api.md shows frames.",
        "parameters": [
            _named("ns"),
            _named("run"),
            _several("step", "a step's slug; none: every step"),
            _several("after", "<slug>:<attempt>:<container>:<line>: resume after it"),
        ],
        "responses": {"101": {"description": "Switching Protocols"}},
    }


def _exec_socket() -> dict[str, Any]:
    return {
        "tags": ["runs"],
        "operationId": "execStep",
        "summary": "Exec Step",
        "description": "A WebSocket: a command in a container of a running step. docs/api.md shows frames.",
        "parameters": [
            _named("ns"),
            _named("run"),
            _named("step"),
            _several("command", "the command, a word each time; none: `sh`"),
            {"in": "query", "name": "container", "schema": {"type": "string", "default": "step"}},
            {"in": "query", "name": "tty", "schema": {"type": "boolean", "default": False}},
            {"in": "query", "name": "columns", "schema": {"type": "integer", "minimum": 1, "maximum": 10000}},
            {"in": "query", "name": "rows", "schema": {"type": "integer", "minimum": 1, "maximum": 10000}},
        ],
        "responses": {"101": {"description": "Switching Protocols"}},
    }


def _named(name: str) -> dict[str, Any]:
    return {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}


def _several(name: str, what: str) -> dict[str, Any]:
    schema = {"type": "array", "items": {"type": "string"}}
    return {"in": "query", "name": name, "description": what, "explode": True, "schema": schema}


SOCKETS = frozenset({"streamLogs", "execStep"})
_REDIRECTED = frozenset({"getArtifacts", "getLogs"})
_BYTES = {"type": "string", "format": "binary"}
_UPLOADED = {"putSource": "application/gzip", "putObject": "application/octet-stream"}
_DOWNLOADED = {
    "watchRuns": "text/event-stream",
    "getLogs": "text/plain",
    "getArtifacts": "application/gzip",
    "getArtifactFile": "application/octet-stream",
    "getObject": "application/octet-stream",
    "health": "text/plain",
    "metrics": "text/plain",
    "openapi": "application/json",
}
_PROBLEM = {
    "description": "A problem (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
}


if __name__ == "__main__":
    sys.stdout.write(text())
