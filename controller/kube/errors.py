"""What can go wrong between us and a Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """Any failure of a call to the Kubernetes API."""


class KubeconfigError(KubeError):
    """The kubeconfig can't be used; the message names the file and what is missing in it."""


class Unreachable(KubeError):  # noqa: N818 - named for what happened
    """No answer: refused, broken off, or too late."""


class ApiError(KubeError):
    """The API answered with an error. `reason` is the word of the Status object, e.g. NotFound."""

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


class NotFound(ApiError):  # noqa: N818
    """404"""


class AlreadyExists(ApiError):  # noqa: N818
    """409 at a creation."""


class Conflict(ApiError):  # noqa: N818
    """409 at a change: somebody else changed the object first."""


class Gone(ApiError):  # noqa: N818
    """410: the resourceVersion is too old; list again."""


class Forbidden(ApiError):  # noqa: N818
    """403"""


class Unauthorized(ApiError):  # noqa: N818
    """401"""


_BY_STATUS: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 410: Gone}


def from_status(status: int, body: object, what: str) -> ApiError:
    """The error for an answer. `what` says which call was made."""
    document = body if isinstance(body, dict) else {}
    reason = str(document.get("reason") or "")
    message = str(document.get("message") or body or f"HTTP {status}")[:2000]
    kind = _BY_STATUS.get(status, ApiError)
    if status == 409:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
    return kind(f"{what}: {message}", status=status, reason=reason, details=document.get("details"))
