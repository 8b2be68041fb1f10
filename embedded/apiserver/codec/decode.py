"""Decodes request bodies by their media type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from embedded.api.status_errors import ApiError, bad_request, unsupported_media_type
from embedded.apiserver.codec import protobuf_codec
from embedded.registry.options import PatchType

Json = dict[str, Any]

_APPLY = "application/apply-patch+yaml"
_JSON, _YAML = "application/json", "application/yaml"
_OBJECT_MEDIA_TYPES = (_JSON, _YAML, protobuf_codec.MEDIA_TYPE)
_PATCH_KINDS: dict[str, PatchType] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    _APPLY: "apply",
}


_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rf"{_WORD}\s*+=\s*+(?:{_WORD}|\"(?:[^\"\\]|\\.)*\")"
_MEDIA_TYPE = re.compile(rf"\s*+({_WORD}(?:/{_WORD})?)\s*+(?:;\s*+{_PARAMETER}\s*+)*+(?:;\s*+)?", re.ASCII)
"""RFC 2045, as Go's `mime.ParseMediaType` reads it."""


def _media_type(header: str) -> str:
    """The media type of a Content-Type header in lower case, without parameters; "" when it is malformed."""
    match = _MEDIA_TYPE.fullmatch(header)
    return match.group(1).lower() if match else ""


class _DuplicateFieldError(Exception):
    """A JSON object has a duplicate field."""


def _unique_object(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateFieldError
    return found


def _reject_constant(text: str) -> Any:
    raise ValueError(f"invalid character '{text[0]}' looking for beginning of value")


_STRICT = json.JSONDecoder(object_pairs_hook=_unique_object, parse_constant=_reject_constant)
_PAIRS = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_reject_constant)


def read_object(data: bytes, content_type: str, kind: str, duplicates: list[str] | None = None) -> Json:
    """Decode an object from a body.

    Args:
        content_type: the header as the client sent it, "" when it sent none: then the body is JSON, as in Kubernetes.
        kind: the expected kind, for error messages.
        duplicates: gets a message for each field that occurs twice.

    Raises:
        ApiError: 415 for an unsupported media type, 400 for a body that is not an object.
    """
    media = _media_type(content_type) if content_type.strip() else _JSON
    if media == protobuf_codec.MEDIA_TYPE:
        return protobuf_codec.decode(data)
    if media not in _OBJECT_MEDIA_TYPES:
        raise unsupported_media_type(_OBJECT_MEDIA_TYPES)
    value = _read_yaml(data, duplicates) if media == _YAML else _read_json(data, kind, duplicates)
    if not isinstance(value, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind})")
    return value


def patch_kind(content_type: str, *, custom: bool) -> PatchType:
    """The kind of patch by its media type. Custom resources have no strategic merge, as on a real server.

    Raises:
        ApiError: 415.
    """
    media = content_type.partition(";")[0]
    accepted = [name for name in _PATCH_KINDS if not (custom and _PATCH_KINDS[name] == "strategic")]
    if media not in accepted:
        raise unsupported_media_type(accepted)
    return _PATCH_KINDS[media]


def read_patch(data: bytes, kind: PatchType, duplicates: list[str] | None = None) -> Any:
    """Decode a patch; `duplicates` gets a message for each field that occurs twice.

    Raises:
        ApiError: 400, the patch can't be read.
    """
    return _read_yaml(data, duplicates) if kind == "apply" else _read_json(data, "patch", duplicates)


def _decode_json(text: str, duplicates: list[str] | None) -> Any:
    try:
        return _STRICT.decode(text)
    except _DuplicateFieldError:
        whole = _PAIRS.decode(text)
        if duplicates is not None:
            duplicates += [f'duplicate field "{path}"' for path in _duplicate_paths(whole, "")]
        return json.loads(text)


def _duplicate_paths(value: Any, at: str) -> Iterator[str]:
    """The paths of duplicate fields; in `value`, objects are tuples of pairs."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicate_paths(item, f"{at}[{index}]")
    if not isinstance(value, tuple):
        return
    seen: set[str] = set()
    for name, item in value:
        path = f"{at}.{name}" if at else name
        if name in seen:
            yield path
        seen.add(name)
        yield from _duplicate_paths(item, path)


def _read_json(data: bytes, kind: str, duplicates: list[str] | None = None) -> Any:
    try:
        value = _decode_json(data.decode(json.detect_encoding(data), "surrogatepass"), duplicates)
        return _replace_lone_surrogates(value) if b"\\u" in data else value
    except (ValueError, RecursionError) as error:
        shown = data[:100].decode("utf-8", "replace")
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse "
            f"error: {error} ({shown})"
        ) from None


def _replace_lone_surrogates(value: Any) -> Any:
    """Replace lone surrogates by U+FFFD, as a real server does."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _read_yaml(data: bytes, duplicates: list[str] | None = None) -> Any:
    # Most bodies that are declared as YAML are JSON, which is decoded much faster.
    try:
        return _decode_json(data.decode("utf-8"), duplicates)
    except (ValueError, RecursionError):
        pass
    import yaml

    from embedded.apiserver.codec.yaml_codec import NotJsonCompatibleError, duplicate_keys, load

    try:
        value = load(data)
        if duplicates is not None:
            duplicates += duplicate_keys(data)
        return value
    except NotJsonCompatibleError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    except RecursionError:
        raise ApiError(400, "BadRequest", "error decoding YAML: nested too deeply") from None
