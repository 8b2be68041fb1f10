"""Whether this machine is connected with the network of an engine's containers."""

from __future__ import annotations

import socket

from embedded.kubelet.runtime.engine.connection.files import Requests
from embedded.kubelet.runtime.engine.errors import EngineError


def bridge_gateway(request: Requests) -> str:
    """The address on the engine's bridge of the machine that it runs on; empty if it does not tell.

    Raises:
        EngineUnreachableError: it does not answer.
    """
    try:
        configs = request("GET", "/networks/bridge")["IPAM"]["Config"]
        return str(configs[0]["Gateway"])
    except (EngineError, LookupError, TypeError):
        return ""


def is_own_address(address: str) -> bool:
    """Whether an address is one of this machine's, in the network that this process is in."""
    try:
        family = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][0]
        with socket.socket(family) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
