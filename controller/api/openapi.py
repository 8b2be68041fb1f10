"""The OpenAPI document: what the framework derives from the routes, with the problems, rights and the socket added.

The copy in docs/openapi.json is what clients are written against; a test compares the two.
"""

import functools
import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from controller.api.access import PATH_SHAPES, RULES, Rule
from controller.api.models import ProblemDocument
from controller.api.problems import MEDIA_TYPE, TYPES

REF = "#/components/schemas/{model}"
SOCKET_PATH = "/api/v1/namespaces/{ns}/runs/{run}/logs/stream"


def text() -> str:
    """What docs/openapi.json has to hold (`python -m controller.api.openapi`)."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


@functools.cache
def document() -> dict[str, Any]:
    """The whole document; built once, because it takes a while."""
    from controller.api.app import routes

    found = routes().openapi()
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    _, problem_schemas = models_json_schema([(ProblemDocument, "serialization")], ref_template=REF)
    schemas.update(problem_schemas["$defs"])
    schemas["ProblemDocument"]["properties"]["type"]["enum"] = [f"urn:c8s:problem:{slug}" for slug in TYPES]
    found["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "a Kubernetes token"},
        "capability": {"type": "http", "scheme": "bearer", "description": "a run's capability token"},
        "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
    }
    found["paths"][SOCKET_PATH] = {"get": _socket()}
    for path in found["paths"].values():
        for operation in path.values():
            _say_who_may(operation, RULES[operation["operationId"]])
            _say_what_goes_over_the_wire(operation)
    # The framework's own shapes of errors: they are answered as problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return found


def _say_who_may(operation: dict[str, Any], rule: Rule) -> None:
    operation["security"] = {
        "public": [],
        "link": [],
        "capability": [{"capability": []}],
    }.get(rule.kind, [{"bearer": []}])
    if operation["operationId"] == "streamLogs":
        operation["security"].append({"ticket": []})
    needs = rule.sentence()
    said = operation.get("description", "").rstrip()
    operation["description"] = f"{said}\n\nNeeds: {needs}.".strip()


def _say_what_goes_over_the_wire(operation: dict[str, Any]) -> None:
    """Streams and files, which the framework knows nothing of, the form of names, and problems for all else."""
    responses, name = operation["responses"], operation["operationId"]
    responses.pop("422", None)
    responses["default"] = _PROBLEM
    if name in _UPLOADED:
        operation["requestBody"] = {"required": True, "content": {_UPLOADED[name]: {"schema": _BYTES}}}
    if name in _DOWNLOADED:
        responses["200"] = {"description": "Successful Response", "content": {_DOWNLOADED[name]: {"schema": _BYTES}}}
    if name == "ready":
        responses["503"] = {**responses["200"], "description": "Not ready"}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in PATH_SHAPES:
            parameter["schema"]["pattern"] = PATH_SHAPES[parameter["name"]].pattern


def _socket() -> dict[str, Any]:
    name = {"in": "path", "required": True, "schema": {"type": "string"}}
    many = {"in": "query", "explode": True, "schema": {"type": "array", "items": {"type": "string"}}}
    return {
        "tags": ["logs"],
        "operationId": "streamLogs",
        "summary": "Stream Logs",
        "description": "A WebSocket: log lines of many steps, what there is, then live. docs/api.md shows frames.",
        "parameters": [
            {"name": "ns", **name},
            {"name": "run", **name},
            {"name": "step", "description": "a step's slug; none: every step", **many},
            {"name": "after", "description": "<slug>:<attempt>:<container>:<line>: resume after it", **many},
        ],
        "responses": {"101": {"description": "Switching Protocols"}},
    }


_BYTES = {"type": "string", "format": "binary"}
_UPLOADED = {"putSource": "application/gzip", "putObject": "application/octet-stream"}
_DOWNLOADED = {
    "watchRuns": "text/event-stream",
    "getLogs": "text/plain",
    "getArtifacts": "application/gzip",
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
