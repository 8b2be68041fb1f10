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

from embedded.machinery.errors import ApiError
from embedded.machinery.resources import ResourceType
from embedded.machinery.tables import table
from embedded.storage.store import encode

Json = dict[str, Any]

_META = "meta.k8s.io"
_JSON_LIKE = ("application/json", "application/vnd.kubernetes.protobuf", "application/*", "*/*")
_OFFERED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


@dataclass(frozen=True)
class Form:
    """`shape`: the whole object, a meta.k8s.io/v1 Table, or PartialObjectMetadata."""

    shape: Literal["object", "Table", "PartialObjectMetadata"] = "object"
    yaml: bool = False

    def item(self, obj: Json) -> Json:
        """An object as this form shows it; not for Tables, which have columns."""
        if self.shape == "object":
            return obj
        return {"kind": "PartialObjectMetadata", "apiVersion": f"{_META}/v1", "metadata": obj["metadata"]}


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
        if options.get("g") == _META and options.get("v") == "v1":
            if shape == "Table":
                return Form("Table", yaml)
            if shape == "PartialObjectMetadata":
                return Form("PartialObjectMetadata", yaml)
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {_OFFERED}")


def objects(
    form: Form, resource: ResourceType, bodies: Iterable[bytes], metadata: Json, *, include: str, now: datetime
) -> bytes:
    """Objects that were read, in a form other than the stored one: a Table or a list."""
    found = [json.loads(body) for body in bodies]
    if form.shape == "Table":
        return encode(table(resource, found, metadata, include=include, now=now))
    items = [form.item(obj) for obj in found]
    kind, version = f"{form.shape}List", f"{_META}/v1"
    return encode({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})


def as_yaml(data: bytes) -> bytes:
    import yaml

    return yaml.dump(json.loads(data), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=True).encode()
