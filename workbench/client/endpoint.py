"""Where a controller's REST API is, and how to be let in. It holds no connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SandboxError(Exception):
    """A sandbox can't be started, found or stopped; the message says why and what to do."""


class SandboxNameError(SandboxError):
    """What was given can't be the name of a sandbox."""


@dataclass(frozen=True)
class Endpoint:
    """A controller's address.

    `url` has no trailing slash. `token_file` is read for each connection, so
    that a renewed token is used. `sandbox` is the sandbox's name, or None for
    a controller that is not ours to start or stop.
    """

    url: str
    token_file: Path
    namespace: str = "default"
    sandbox: str | None = None
    kubeconfig: Path | None = None
    """With the context `kube_context` of this, the token is renewed; None where somebody else renews it."""
    kube_context: str | None = None
