"""What can go wrong between us and a controller, in words for the person at the keyboard.

Every message says what was tried, on what, what went wrong and what to do.
The text of an answer is somebody else's: whoever draws it makes it harmless first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.client.decode import decode_diagnostic
from workbench.client.models import Diagnostic


class ClientError(Exception):
    """A call to the controller did not work; the message is for people."""


class UnreachableError(ClientError):
    """Nobody answered, or the connection broke and could not be made again."""


class UnauthorizedError(ClientError):
    """The controller does not know our token, or there is none to send."""


class ForbiddenError(ClientError):
    """The controller knows us and says no."""


class NotFoundError(ClientError):
    """What was asked for is not there."""


class ConflictError(ClientError):
    """The call does not fit the state that the object is in by now."""


class InvalidError(ClientError):
    """The controller refused what it was sent. `problems` names the places, where it knows them."""

    def __init__(self, message: str, problems: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ServerError(ClientError):
    """The controller failed, or answered with something that is not part of its contract."""


class ConnectionLostError(ClientError):
    """The connection broke in a way that trying again may mend.

    Never leaves this package; `error` is what does.
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


def error_for(status: int, body: object, what: str, server: str) -> ClientError:
    """The error for an answer of `status` (400 and up) to the call `what` ("cancel run a-1").

    `body` is decoded: a problem document (RFC 9457) when the controller itself answered,
    anything when a proxy did.
    """
    document: Mapping[str, Any] = body if isinstance(body, dict) else {}
    said = str(document.get("detail") or document.get("title") or "").strip()
    reason = said or f"the controller at {server} answered with status {status}"
    if status == 401:
        return UnauthorizedError(
            f"can't {what}: {server} does not accept the token ({reason}). "
            "For a sandbox, `c8s up` renews it; for a context, check its tokenFile."
        )
    if status == 403:
        return ForbiddenError(
            f"can't {what}: not allowed ({reason}). Ask whoever runs {server} for the right to do it."
        )
    if status >= 500:
        return ServerError(
            f"can't {what}: the controller failed with status {status}{f' ({said})' if said else ''}. "
            "Try again; `c8s status` tells how a sandbox is and where its logs are."
        )
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind(f"can't {what}: {reason}")
    found = document.get("problems")
    problems = (
        tuple(decode_diagnostic(item) for item in found if isinstance(item, dict)) if isinstance(found, list) else ()
    )
    return InvalidError(f"can't {what}: {reason}", problems)


def unreachable_error(what: str, server: str, why: str, sandbox: str | None) -> UnreachableError:
    """The error for a controller that did not answer; names the command that helps."""
    if sandbox is None:
        remedy = "Check the server of the context and your network."
    else:
        name = "" if sandbox == "default" else f" --name {sandbox}"
        remedy = f"Is the sandbox up? Start it with `c8s up{name}`."
    return UnreachableError(f"can't {what}: no connection to {server} ({why}). {remedy}")
