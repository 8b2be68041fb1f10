"""Errors of calls to the Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """Any failure of a call to the Kubernetes API."""


class KubeconfigError(KubeError):
    """The kubeconfig can't be used; the message names the file and what is missing in it."""


class UnreachableError(KubeError):
    """No answer: refused, broken off, or too late."""


class ApiError(KubeError):
    """The API answered with an error. `reason` is that of the Status object, for example `NotFound`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 500,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, dict(details or {})


class NotFoundError(ApiError):
    """404"""


class AlreadyExistsError(ApiError):
    """409 at a creation: the object exists."""


class ConflictError(ApiError):
    """409 at an update: the object was changed by something else first."""


class GoneError(ApiError):
    """410: the resourceVersion is too old; list again."""


class ForbiddenError(ApiError):
    """403"""


class UnauthorizedError(ApiError):
    """401"""


class TooLargeError(ApiError):
    """The object or the request is too large to be stored: 413, or what etcd answers."""


_ERRORS_BY_STATUS: dict[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    410: GoneError,
    413: TooLargeError,
}
# kube-apiserver passes these on with status 500: of etcd above --max-request-bytes, and of its client above 2 MiB.
_TOO_LARGE_MESSAGES = ("etcdserver: request is too large", "trying to send message larger than max")


def error_from_response(status: int, body: object, operation: str) -> ApiError:
    """The error for a response. `operation` is the call that was made, for the message."""
    document = body if isinstance(body, dict) else {}
    reason = str(document.get("reason") or "")
    message = str(document.get("message") or body or f"HTTP {status}")[:2000]
    kind = _ERRORS_BY_STATUS.get(status, ApiError)
    if any(words in message for words in _TOO_LARGE_MESSAGES):
        kind = TooLargeError
    if status == 409:
        kind = AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    return kind(f"{operation}: {message}", status=status, reason=reason, details=document.get("details"))
