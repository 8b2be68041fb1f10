"""Request bodies: media types and what is in them."""

from __future__ import annotations

import json
from typing import Any

from embedded.machinery.errors import ApiError, bad_request, unsupported_media_type
from embedded.machinery.write import PatchKind
from embedded.server import protobuf

Json = dict[str, Any]

_APPLY = "application/apply-patch+yaml"
_JSON, _YAML = "application/json", "application/yaml"
_OBJECTS = (_JSON, _YAML)
_PATCHES: dict[str, PatchKind] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    _APPLY: "apply",
}


def media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def read_object(data: bytes, content_type: str, kind: str) -> Json:
    """An object from a body.

    Raises:
        ApiError: 415 for a media type that is not read here, 400 for a body that is not an object.
    """
    form = media_type(content_type) or _JSON
    if form == protobuf.MEDIA_TYPE:
        return protobuf.read(data)
    if form not in _OBJECTS:
        raise unsupported_media_type(_OBJECTS)
    value = _yaml(data) if form == _YAML else _json(data, kind)
    if not isinstance(value, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind})")
    return value


def patch_kind(content_type: str, *, custom: bool) -> PatchKind:
    """What kind of patch a body is. Custom resources have no strategic merge, as on a real server.

    Raises:
        ApiError: 415.
    """
    form = media_type(content_type)
    accepted = [name for name in _PATCHES if not (custom and _PATCHES[name] == "strategic")]
    if form not in accepted:
        raise unsupported_media_type(accepted)
    return _PATCHES[form]


def read_patch(data: bytes, kind: PatchKind) -> Any:
    """Raises:
    ApiError: 400, the patch can't be read.
    """
    return _yaml(data) if kind == "apply" else _json(data, "patch")


def _json(data: bytes, kind: str) -> Any:
    try:
        value = json.loads(data)
        return _whole(value) if b"\\u" in data else value
    except (ValueError, RecursionError) as error:
        shown = data[:100].decode("utf-8", "replace")
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse "
            f"error: {error} ({shown})"
        ) from None


def _whole(value: Any) -> Any:
    """With halves of surrogate pairs, which are no text, replaced as a real server does."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _yaml(data: bytes) -> Any:
    # What says YAML mostly is JSON, which is read far faster.
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        pass
    import yaml

    try:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    except RecursionError:
        raise ApiError(400, "BadRequest", "error decoding YAML: nested too deeply") from None
