"""API errors, with the status code, reason, message and details of a Kubernetes API server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedded.types import JsonObject


class ApiError(Exception):
    """An error response; `to_status` gives its Status object."""

    def __init__(self, code: int, reason: str, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details
        self.continue_token = ""
        """The token with which an expired list continues, without consistency with its first pages."""

    def to_status(self) -> JsonObject:
        metadata = {"continue": self.continue_token} if self.continue_token else {}
        status: JsonObject = {"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return {**status, "code": self.code}


@dataclass(frozen=True)
class FieldError:
    """One invalid field. `reason` is for example FieldValueInvalid or FieldValueRequired."""

    reason: str
    field: str
    message: str


def _details(kind: str, name: str, group: str) -> JsonObject:
    details: JsonObject = {"name": name, "kind": kind} if name else {"kind": kind}
    if group:
        details["group"] = group
    return details


def _qualified_resource(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, name: str, group: str = "") -> ApiError:
    return ApiError(
        404, "NotFound", f'{_qualified_resource(plural, group)} "{name}" not found', _details(plural, name, group)
    )


def too_large() -> ApiError:
    """The answer of etcd, which kube-apiserver passes on as it is: with status 500, and without a reason."""
    return ApiError(500, "", "etcdserver: request is too large")


def already_exists(plural: str, name: str, group: str = "") -> ApiError:
    message = f'{_qualified_resource(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(plural, name, group))


def conflict(plural: str, name: str, group: str = "", detail: str = "") -> ApiError:
    detail = detail or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {_qualified_resource(plural, group)} "{name}": {detail}'
    return ApiError(409, "Conflict", message, _details(plural, name, group))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, name: str, group: str, detail: str) -> ApiError:
    about = f'{_qualified_resource(plural, group)} "{name}"' if name else _qualified_resource(plural, group)
    message = f"{about} is forbidden: {detail}"
    return ApiError(403, "Forbidden", message, _details(plural, name, group))


def unknown_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def namespace_terminating(plural: str, name: str, group: str, namespace: str) -> ApiError:
    """403, the namespace is being deleted, so nothing can be created in it."""
    detail = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(plural, name, group, detail)
    message = f"namespace {namespace} is being terminated"
    cause = {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
    error.details = {**(error.details or {}), "causes": [cause]}
    return error


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", message + ", ".join(accepted))


def resource_expired(oldest: int, requested: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {requested} ({oldest})")


def invalid(kind: str, name: str, group: str, errors: Sequence[FieldError]) -> ApiError:
    """422 with one cause per invalid field."""
    parts = [f"{cause.field}: {cause.message}" for cause in errors]
    text = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
    details = {
        **(_details(kind, name, group) if kind else {"group": group} if group else {}),
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in errors],
    }
    full_kind = f"{kind}.{group}" if group else kind
    return ApiError(422, "Invalid", f'{full_kind} "{name}" is invalid: {text}', details)
