"""Content negotiation: whole objects, a Table, or metadata only; as JSON or YAML.

Protobuf is never written. A client that accepts only protobuf gets JSON, which client libraries recognize by its
Content-Type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from aiohttp import web

from embedded.api.scheme import ResourceType
from embedded.api.status_errors import ApiError
from embedded.printers.table import build_table
from embedded.storage.sqlite import encode_json

Json = dict[str, Any]

_META = "meta.k8s.io"
_JSON_LIKE = ("application/json", "application/vnd.kubernetes.protobuf", "application/*", "*/*")
_SUPPORTED_MEDIA_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


@dataclass(frozen=True)
class Representation:
    """The form of a response: the whole object, a meta.k8s.io Table, or PartialObjectMetadata."""

    shape: Literal["object", "Table", "PartialObjectMetadata"] = "object"
    yaml: bool = False
    version: str = "v1"

    def render(self, obj: Json) -> Json:
        """An object in this form. Not for Tables: see `render_object`."""
        if self.shape == "object":
            return obj
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": f"{_META}/{self.version}",
            "metadata": obj["metadata"],
        }


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Representation:
    """The first supported form of an Accept header.

    Raises:
        ApiError: 406, none is supported.
    """
    for choice in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        options = dict(part.partition("=")[::2] for part in parameters)
        yaml = media in ("application/yaml", "text/yaml")
        if media not in _JSON_LIKE and not yaml:
            continue
        shape = options.get("as", "").removesuffix("List")
        if not shape:
            return Representation(yaml=yaml)
        if options.get("g") == _META and (version := options.get("v", "")) in ("v1", "v1beta1"):
            if shape == "Table":
                return Representation("Table", yaml, version)
            if shape == "PartialObjectMetadata":
                return Representation("PartialObjectMetadata", yaml, version)
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {_SUPPORTED_MEDIA_TYPES}")


def content_type(request: web.BaseRequest) -> str:
    """The Content-Type header of a request, "" where there is none.

    `request.content_type` is `application/octet-stream` there, which is not what a real server makes of it.
    """
    return request.headers.get("Content-Type", "")


def encode_list(
    representation: Representation,
    resource: ResourceType,
    bodies: Iterable[bytes],
    metadata: Json,
    *,
    include: str,
    now: datetime,
) -> bytes:
    """Encode stored objects as a Table or as a list of PartialObjectMetadata."""
    objects = [json.loads(body) for body in bodies]
    if representation.shape == "Table":
        return encode_json(
            build_table(resource, objects, metadata, include=include, now=now, version=representation.version)
        )
    items = [representation.render(obj) for obj in objects]
    kind, version = f"{representation.shape}List", f"{_META}/{representation.version}"
    return encode_json({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})


def render_object(
    representation: Representation, resource: ResourceType, obj: Json, *, include: str, now: datetime
) -> Json:
    """One object as a Table or PartialObjectMetadata."""
    if representation.shape != "Table":
        return representation.render(obj)
    metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
    return build_table(resource, [obj], metadata, include=include, now=now, version=representation.version)


def encode_response(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The response, converted to YAML if the client prefers that."""
    accept = request.headers.get("Accept", "")
    if "yaml" not in accept or not isinstance(response, web.Response) or response.content_type != "application/json":
        return response
    try:
        prefers_yaml = negotiate(accept).yaml
    except ApiError:
        return response
    if prefers_yaml and isinstance(response.body, bytes):
        response.body = _to_yaml(response.body)
        response.content_type = "application/yaml"
    return response


def _to_yaml(data: bytes) -> bytes:
    # Imported on demand: few clients ask for YAML.
    import yaml

    return yaml.dump(json.loads(data), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=True).encode()
