"""Objects against the schemas that Kubernetes 1.36.2 publishes (`/openapi/v3`), kept here without their descriptions.

Stricter than the server in one thing: a field that the schema does not know is an error, as with `kubectl --validate`.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes.client
from jsonschema import Draft4Validator, FormatChecker

_CLIENT_MODELS = {
    "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration": "V1ValidatingWebhookConfiguration",
    "authentication.k8s.io/v1 TokenReview": "V1TokenReview",
    "authorization.k8s.io/v1 SubjectAccessReview": "V1SubjectAccessReview",
    "networking.k8s.io/v1 Ingress": "V1Ingress",
    "networking.k8s.io/v1 NetworkPolicy": "V1NetworkPolicy",
}
"""Kinds that are not in the file, with their models in the official client."""
_SCALARS: dict[str, Any] = {"str": str, "int": int, "bool": bool, "object": object, "datetime": str}
_FORMATS = FormatChecker(formats=())
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_FILE = Path(__file__).with_name("schemas-v1.36.2.json.gz")


def problems(obj: dict[str, Any]) -> list[str]:
    """What is wrong with an object; empty when it is right."""
    kind = f"{obj.get('apiVersion')} {obj.get('kind')}"
    document = _document()
    if kind in _CLIENT_MODELS:
        return list(_model_problems(obj, _CLIENT_MODELS[kind], ""))
    if kind not in document["kinds"]:
        return [f"there is no schema here of {kind}"]
    return [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in validator(kind).iter_errors(obj)]


def components() -> dict[str, Any]:
    """All schemas, for references into them."""
    found: dict[str, Any] = _document()["components"]
    return found


def object_meta_schema() -> dict[str, Any]:
    return {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}


def _model_problems(value: Any, kind: str, at: str) -> Iterator[str]:
    """The same, by a model of the official client, which is generated from the published schemas.

    A type is written `V1Name`, `list[TYPE]`, `dict[str, TYPE]`, `str`, `int`, `object` and so on.
    """
    inner = kind.partition("[")[2].removesuffix("]").removeprefix("str, ")
    if kind.startswith("list["):
        if not isinstance(value, list):
            yield f"{at}: is not a list"
        for index, item in enumerate(value):
            yield from _model_problems(item, inner, f"{at}[{index}]")
    elif kind.startswith("dict["):
        for key, item in value.items():
            yield from _model_problems(item, inner, f"{at}.{key}")
    elif kind in _SCALARS:
        if not isinstance(value, _SCALARS[kind]):
            yield f"{at}: {value!r} is not {kind}"
    else:
        model = getattr(kubernetes.client, kind)
        types = {wire: model.openapi_types[name] for name, wire in model.attribute_map.items()}
        for key, item in value.items():
            if key not in types:
                yield f"{at}: {key!r} was unexpected"
            else:
                yield from _model_problems(item, types[key], f"{at}.{key}")


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(_FILE.read_bytes()))
    for schema in found["components"]["schemas"].values():
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    return found


@_FORMATS.checks("int32")
def _is_int32(value: Any) -> bool:
    return not isinstance(value, int) or -(1 << 31) <= value < 1 << 31


@_FORMATS.checks("int64")
def _is_int64(value: Any) -> bool:
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


@_FORMATS.checks("date-time")
def _is_date_time(value: Any) -> bool:
    return not isinstance(value, str) or bool(_DATE_TIME.fullmatch(value))


@_FORMATS.checks("byte", raises=ValueError)
def _is_base64(value: Any) -> bool:
    return not isinstance(value, str) or base64.b64decode(value, validate=True) is not None


@cache
def validator(kind: str) -> Draft4Validator:
    """The validator of a kind, named `apiVersion Kind`."""
    document = _document()
    reference = {"$ref": f"#/components/schemas/{document['kinds'][kind]}", "components": document["components"]}
    return Draft4Validator(reference, format_checker=_FORMATS)
