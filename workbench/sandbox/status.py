"""The status of a sandbox, as its readiness endpoints report it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint

_TIMEOUT = 5.0
_ASK_TIMEOUT = 60.0


@dataclass(frozen=True)
class ComponentStatus:
    """The status of one process; `detail` describes it."""

    name: str
    healthy: bool
    detail: str
    url: str
    pid: int | None
    restarts: int
    log: Path


@dataclass(frozen=True)
class SandboxStatus:
    """The status of a sandbox. A `temporary` one stops with the last command that uses it."""

    name: str
    state: Literal["running", "unhealthy", "stopped", "absent"]
    folder: Path
    kubeconfig: Path | None = None
    api_url: str | None = None
    started_at: str | None = None
    version: str | None = None
    temporary: bool = False
    components: tuple[ComponentStatus, ...] = ()
    steps: str | None = None
    """What runs the steps, as a sentence; None where that is not chosen."""
    problem: str | None = None
    """What keeps the sandbox from working, such as a full disk."""


@dataclass(frozen=True)
class Readiness:
    ready: bool
    detail: str


class StartObserver:
    """Receives how a start goes on. Both methods may be called several times; these do nothing."""

    def listening(self, endpoint: Endpoint) -> None:
        """Its processes run. Requests to the controller are answered once it can."""

    def waiting(self, why: str) -> None:
        """It is not ready yet."""


def check_ready(port: int, token: str | None = None, timeout: float = _TIMEOUT) -> Readiness:
    """GET /readyz on a loopback port. It never raises: errors are in the detail."""
    # The start of a sandbox needs it only once the processes are starting.
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", "/readyz", headers=headers)
        response = connection.getresponse()
        body = response.read(10_000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return Readiness(False, f"does not answer: {error or type(error).__name__}")
    finally:
        connection.close()
    if response.status == 200:
        return Readiness(True, "ready")
    return Readiness(False, _reason(body) or f"answers HTTP {response.status}")


def ask_for_api(port: int, token_file: Path) -> None:
    """Send the API of a sandbox that is starting a request, in a thread; what it answers does not matter.

    The controller imports its API with the first request, which waits in its socket until then.
    """
    import http.client
    import threading
    from contextlib import suppress

    def ask() -> None:
        with suppress(OSError, http.client.HTTPException):
            token = token_file.read_text().strip()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ASK_TIMEOUT)
            connection.request("GET", "/api/v1/cluster", headers={"Authorization": f"Bearer {token}"})
            connection.getresponse().read()
            connection.close()

    threading.Thread(target=ask, name="ask for the API", daemon=True).start()


def _reason(body: str) -> str:
    """What a component waits for, the message of a problem document, or the text itself."""
    try:
        document = json.loads(body)
    except ValueError:
        return body[:200]
    if not isinstance(document, dict):
        return body[:200]
    waiting = document.get("waitingFor")
    if isinstance(waiting, list) and waiting and all(isinstance(part, dict) for part in waiting):
        return "not ready: " + "; ".join(f"{part.get('part')}: {part.get('why')}" for part in waiting)
    return str(document.get("detail") or document.get("title") or body[:200])
