"""JSON Patch (RFC 6902), by the `jsonpatch` library, with the errors of a Kubernetes API server."""

from __future__ import annotations

import json
from typing import Any

from embedded.api.status_errors import ApiError, bad_request
from embedded.types import copy_json

MAX_OPERATIONS = 10_000
"""As in a real server, `maxJSONPatchOperations`."""
MAX_COPIED_BYTES = 3 << 20
"""What all operations `copy` may add, as in a real server (`JSONPatchMaxCopyBytes`): each can double a document."""
_NEEDS_VALUE = ("add", "replace", "test")


def json_patch(document: Any, operations: Any) -> Any:
    """Apply a JSON Patch to a document, which is not changed.

    Raises:
        ApiError: 400, `operations` is not a JSON Patch; 422, an operation cannot be applied.
    """
    # Imported at the first JSON patch: most clusters never get one.
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointer, JsonPointerException

    _require_operations(operations)
    result, copied = copy_json(document), 0
    try:
        for operation in operations:
            if operation.get("op") == "copy" and isinstance(source := operation.get("from"), str):
                copied += len(json.dumps(JsonPointer(source).resolve(result)))
                if copied > MAX_COPIED_BYTES:
                    raise JsonPatchException("the copies are too large")
            result = JsonPatch([operation]).apply(result, in_place=True)
        return result
    except (JsonPatchException, JsonPointerException):
        # A real server does not say which operation failed.
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, {}) from None


def _require_operations(operations: Any) -> None:
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", message, {})
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(path := operation.get("path"), str):
            raise bad_request("error decoding patch: an operation needs op and path")
        if path and not path.startswith("/"):
            raise bad_request(f"error decoding patch: {path!r} is not a JSON pointer")
        if operation.get("op") in _NEEDS_VALUE and "value" not in operation:
            raise bad_request(f"error decoding patch: {operation['op']} needs a value")
