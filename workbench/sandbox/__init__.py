"""Sandboxes: an embedded cluster and a controller on this machine, found again by name.

    async with Sandboxes().attach("default") as endpoint:
        ...  # endpoint.url is the controller's REST API

A sandbox started by `up` runs until `down`; one started by `attach` runs
while a client is attached, also if clients are killed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint, SandboxError, SandboxNameError
    from workbench.sandbox.lifecycle import Sandboxes
    from workbench.sandbox.status import ComponentStatus, SandboxStatus

__all__ = ["ComponentStatus", "Endpoint", "SandboxError", "SandboxNameError", "SandboxStatus", "Sandboxes"]

_MODULES = {
    "ComponentStatus": "workbench.sandbox.status",
    "Endpoint": "workbench.client.endpoint",
    "SandboxError": "workbench.client.endpoint",
    "SandboxNameError": "workbench.client.endpoint",
    "SandboxStatus": "workbench.sandbox.status",
    "Sandboxes": "workbench.sandbox.lifecycle",
}


def __getattr__(name: str) -> Any:
    """Import what is used: the supervisor is part of this package and starts before everything else."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
