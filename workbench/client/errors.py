"""Errors of API calls, with messages for the user.

Every message says action was attempted, on action, action went wrong and action to do.
Messages may quote the server: sanitize them before they are displayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from workbench.client.decode import decode_diagnostic
from workbench.client.models import Diagnostic


class ClientError(Exception):
    """A call to the controller failed; the message is for the user."""

    is_final: ClassVar[bool] = False
    """Whether it is pointless to try again."""


class UnreachableError(ClientError):
    """The controller did not answer, or the connection was lost and could not be restored."""


class UnauthorizedError(ClientError):
    """The controller rejected the token, or there is no token to send."""


class ForbiddenError(ClientError):
    """The user lacks the permission."""


class ReadOnlyError(ClientError):
    """The client was opened to read only, and the call would change something."""


class NotFoundError(ClientError):
    """The requested object does not exist."""


class ConflictError(ClientError):
    """The call conflicts with the current state of the object."""


class InvalidError(ClientError):
    """The controller rejected the request. `problems` holds the diagnostics, if it sent any."""

    def __init__(self, message: str, problems: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ServerError(ClientError):
    """The controller failed, or sent an answer that is not part of the API."""


class DamagedDownloadError(ClientError):
    """The downloaded data is not what was stored."""


class ConnectionLostError(ClientError):
    """The connection was lost in a way that a retry may fix.

    It never leaves this package; callers get `error`.
    """

    def __init__(self, error: ClientError) -> None:
        super().__init__(str(error))
        self.error = error


_BY_STATUS: Mapping[int, type[ClientError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
}


def error_for(status: int, body: object, action: str, server: str) -> ClientError:
    """The error for an answer with `status` (400 and up) to an action such as "cancel run a-1".

    `body` is the decoded body: a problem document (RFC 9457) if the controller answered,
    anything if a proxy did.
    """
    document: Mapping[str, Any] = body if isinstance(body, dict) else {}
    detail = str(document.get("detail") or document.get("title") or "").strip()
    reason = detail or f"the controller at {server} answered with status {status}"
    if status == 401:
        return UnauthorizedError(
            f"can't {action}: {server} does not accept the token ({reason}). "
            "For a sandbox, run `c8s up` to renew it; for a context, check its tokenFile."
        )
    if status == 403:
        return ForbiddenError(
            f"can't {action}: permission denied ({reason}). Ask the administrator of {server} for the permission."
        )
    if status >= 500:
        return ServerError(
            f"can't {action}: the controller failed with status {status}{f' ({detail})' if detail else ''}. "
            "Try again; `c8s status` shows the state of a sandbox and the location of its logs."
        )
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind(f"can't {action}: {reason}")
    found = document.get("problems")
    problems = (
        tuple(decode_diagnostic(item) for item in found if isinstance(item, dict)) if isinstance(found, list) else ()
    )
    return InvalidError(f"can't {action}: {reason}", problems)


def unreachable_error(action: str, server: str, reason: str, sandbox: str | None) -> UnreachableError:
    """The error for a controller that did not answer; it names the command to run."""
    if sandbox is None:
        remedy = "Check the server in the context, and your network."
    else:
        name = "" if sandbox == "default" else f" --name {sandbox}"
        remedy = f"Start the sandbox with `c8s up{name}`; `c8s status{name}` says whether it runs."
    return UnreachableError(f"can't {action}: no connection to {server} ({reason}). {remedy}")
