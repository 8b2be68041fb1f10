"""The address of a controller's REST API and its credentials. It holds no connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SandboxError(Exception):
    """A sandbox cannot be started, found or stopped; the message says why and what to do."""


class SandboxNameError(SandboxError):
    """A text is not a valid sandbox name."""


@dataclass(frozen=True)
class Endpoint:
    """A controller's address.

    `url` has no trailing slash. `token_file` is read for each connection, so
    that a renewed token is used. `sandbox` is the sandbox's name, or None for
    a controller that this machine does not start or stop.
    """

    url: str
    token_file: Path
    namespace: str = "default"
    sandbox: str | None = None
    kubeconfig: Path | None = None
    """The kubeconfig whose context `kube_context` renews the token; None if the token is renewed elsewhere."""
    kube_context: str | None = None
