"""The scale subresource of custom resources: an autoscaling/v1 Scale, whose values are fields of the object."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from embedded.api.field_errors import invalid
from embedded.api.scheme import ResourceType
from embedded.api.status_errors import ApiError, bad_request
from embedded.api.status_errors import invalid as invalid_object
from embedded.apiserver import negotiation, query_options, responses, timeouts
from embedded.apiserver.codec import decode
from embedded.apiserver.request import ApiRequest
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.patch import merge_patch
from embedded.patch.json_patch import json_patch
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry
from embedded.types import copy_json

Json = dict[str, Any]

_API_VERSION = "autoscaling/v1"


class ScaleHandlers:
    """Answers get, update and patch of scale subresources."""

    def __init__(self, registry: Registry, webhooks: WebhookAdmission) -> None:
        self._registry = registry
        self._webhooks = webhooks

    async def handle(self, request: ApiRequest, verb: str) -> web.StreamResponse:
        live = self._registry.get(request.info.ref)
        if verb == "get":
            return responses.json_response(200, scale_of(request.info.resource, live))
        query_options.validate_write_options(verb, request.query, request.dry_runs)
        replicas, version = await self._read_replicas(request, verb, live)
        changed = with_replicas(request.info.resource, live, replicas)
        changed["metadata"]["resourceVersion"] = version or live["metadata"]["resourceVersion"]
        write = self._registry.prepare_update(request.info.ref, changed, WriteOptions(dry_run=bool(request.dry_runs)))
        await self._webhooks.review(write, request.user)
        written = self._registry.commit(write)
        return responses.json_response(200, scale_of(request.info.resource, written.object))

    async def _read_replicas(self, request: ApiRequest, verb: str, live: Json) -> tuple[int, str]:
        """The replicas that a request sets, and the resourceVersion that it requires."""
        media_type = negotiation.content_type(request.http)
        data = await timeouts.read_body(request.http)
        if verb == "update":
            scale: Any = decode.read_object(data, media_type, "Scale")
        else:
            kind = decode.patch_kind(media_type, custom=True)
            patch, before = decode.read_patch(data, kind, []), scale_of(request.info.resource, live)
            before["metadata"].pop("resourceVersion")
            scale = json_patch(before, patch) if kind == "json" else merge_patch.merge_patch(before, patch)
        if not isinstance(scale, dict) or scale.get("kind", "Scale") != "Scale":
            raise bad_request("the body is not a Scale")
        metadata, spec = scale.get("metadata") or {}, scale.get("spec") or {}
        replicas = spec.get("replicas", 0) if isinstance(spec, dict) else None
        if type(replicas) is not int or not isinstance(metadata, dict):
            raise bad_request("spec.replicas of a Scale is a whole number")
        if metadata.get("name", request.info.name) != request.info.name:
            given, name = metadata["name"], request.info.name
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        if replicas < 0:
            error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise invalid_object("Scale", request.info.name, "autoscaling", [error])
        return replicas, str(metadata.get("resourceVersion") or "")


def scale_of(resource: ResourceType, obj: Json) -> Json:
    """The Scale of an object.

    Raises:
        ApiError: 500, the object has no replicas.
    """
    assert resource.scale is not None
    replicas = _find(obj, resource.scale.spec_path)
    if type(replicas) is not int:
        why = f'the spec replicas field "{resource.scale.spec_path}" does not exist'
        raise ApiError(500, "InternalError", f"Internal error occurred: {why}")
    metadata = {
        name: obj["metadata"][name]
        for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if name in obj["metadata"]
    }
    status = {"replicas": _find(obj, resource.scale.status_path) or 0}
    if resource.scale.selector_path and (selector := _find(obj, resource.scale.selector_path)):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": _API_VERSION,
        "metadata": metadata,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def with_replicas(resource: ResourceType, obj: Json, replicas: int) -> Json:
    """A copy of an object with other replicas."""
    assert resource.scale is not None
    changed = copy_json(obj)
    *parents, last = resource.scale.spec_path.strip(".").split(".")
    holder = changed
    for part in parents:
        holder = holder.setdefault(part, {})
    holder[last] = replicas
    return changed


def _find(obj: Json, path: str) -> Any:
    found: Any = obj
    for part in path.strip(".").split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
