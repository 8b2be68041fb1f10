"""In which form an answer is wanted: whole objects, a Table, or metadata only; as JSON or YAML.

Protobuf is not written here. Who asks for it, and nothing else, gets JSON, which
client libraries tell by its Content-Type.
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
from embedded.printers.table import table
from embedded.storage.sqlite import encode

Json = dict[str, Any]

_META = "meta.k8s.io"
_JSON_LIKE = ("application/json", "application/vnd.kubernetes.protobuf", "application/*", "*/*")
_OFFERED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


@dataclass(frozen=True)
class Form:
    """`shape`: the whole object, a meta.k8s.io/v1 Table, or PartialObjectMetadata."""

    shape: Literal["object", "Table", "PartialObjectMetadata"] = "object"
    yaml: bool = False
    version: str = "v1"

    def item(self, obj: Json) -> Json:
        """An object as this form shows it; not for Tables, which have columns."""
        if self.shape == "object":
            return obj
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": f"{_META}/{self.version}",
            "metadata": obj["metadata"],
        }


@lru_cache(maxsize=256)
def wanted(accept: str) -> Form:
    """The first form of an Accept header that can be given.

    Raises:
        ApiError: 406, none of them can.
    """
    for choice in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        options = dict(part.partition("=")[::2] for part in parameters)
        yaml = media in ("application/yaml", "text/yaml")
        if media not in _JSON_LIKE and not yaml:
            continue
        shape = options.get("as", "").removesuffix("List")
        if not shape:
            return Form(yaml=yaml)
        if options.get("g") == _META and (version := options.get("v", "")) in ("v1", "v1beta1"):
            if shape == "Table":
                return Form("Table", yaml, version)
            if shape == "PartialObjectMetadata":
                return Form("PartialObjectMetadata", yaml, version)
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {_OFFERED}")


def objects(
    form: Form, resource: ResourceType, bodies: Iterable[bytes], metadata: Json, *, include: str, now: datetime
) -> bytes:
    """Objects that were read, in a form other than the stored one: a Table or a list."""
    found = [json.loads(body) for body in bodies]
    if form.shape == "Table":
        return encode(table(resource, found, metadata, include=include, now=now, version=form.version))
    items = [form.item(obj) for obj in found]
    kind, version = f"{form.shape}List", f"{_META}/{form.version}"
    return encode({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})


def one(form: Form, resource: ResourceType, obj: Json, *, include: str, now: datetime) -> Json:
    """One object in a form other than the stored one."""
    if form.shape != "Table":
        return form.item(obj)
    metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
    return table(resource, [obj], metadata, include=include, now=now, version=form.version)


def shown_as_asked(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The answer, as YAML for who asks for that first."""
    accept = request.headers.get("Accept", "")
    if "yaml" not in accept or not isinstance(response, web.Response) or response.content_type != "application/json":
        return response
    try:
        asked = wanted(accept).yaml
    except ApiError:
        return response
    if asked and isinstance(response.body, bytes):
        response.body = _as_yaml(response.body)
        response.content_type = "application/yaml"
    return response


def _as_yaml(data: bytes) -> bytes:
    # Loaded by those who ask for it.
    import yaml

    return yaml.dump(json.loads(data), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=True).encode()
