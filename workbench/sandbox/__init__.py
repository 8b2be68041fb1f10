"""Sandboxes: an embedded cluster and a controller on this machine, found again by name.

    async with Sandboxes().attach("default") as endpoint:
        ...  # endpoint.url is the controller's REST API

A sandbox started by `up` runs until `down`; one started by `attach` runs
while a client is attached, also if clients are killed.
"""

from workbench.client.endpoint import Endpoint, SandboxError, SandboxNameError
from workbench.sandbox.lifecycle import Sandboxes
from workbench.sandbox.status import ComponentStatus, SandboxStatus

__all__ = ["ComponentStatus", "Endpoint", "SandboxError", "SandboxNameError", "SandboxStatus", "Sandboxes"]
