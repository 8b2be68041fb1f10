"""The OpenAPI v3 documents, as far as kubectl reads them: which kinds there are and that the server validates fields.

They hold no schemas: `kubectl explain` finds nothing here, and kubectl leaves validation to the server.
"""

from __future__ import annotations

from typing import Any

from embedded.machinery.resources import SERVER_VERSION, Catalogue, ResourceType

Json = dict[str, Any]

_FIELD_VALIDATION = {"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def index(catalogue: Catalogue) -> Json:
    """`/openapi/v3`: where the document of each group and version is."""
    places = sorted({_place(resource.group, resource.version) for resource in catalogue.all()})
    return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}


def document(place: str, catalogue: Catalogue) -> Json | None:
    """`/openapi/v3/<place>`, where place is `api/v1` or `apis/<group>/<version>`; None when that is not served."""
    served = [resource for resource in catalogue.all() if _place(resource.group, resource.version) == place]
    if not served:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": SERVER_VERSION["gitVersion"]},
        "paths": {f"/{place}/{_item_path(resource)}": _operations(resource) for resource in served},
    }


def _place(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _item_path(resource: ResourceType) -> str:
    scope = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"{scope}{resource.plural}/{{name}}"


def _operations(resource: ResourceType) -> Json:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    answer = {"200": {"description": "OK"}}
    verbs = {"patch": "patch", "put": "update", "post": "create"}
    return {
        method: {
            "parameters": [_FIELD_VALIDATION],
            "responses": answer,
            "x-kubernetes-action": method,
            "x-kubernetes-group-version-kind": kind,
        }
        for method, verb in verbs.items()
        if verb in resource.verbs
    }
