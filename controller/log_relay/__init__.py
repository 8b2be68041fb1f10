"""Live logs where API and operator are processes of their own: the leader streams its hub, the API mirrors it.

`Door` is the operator's small HTTP server, `Mirror` the hub that the API reads from. Lines are masked and numbered
before they come here; this room changes neither.
"""

from controller.log_relay.auth import derive_relay_key
from controller.log_relay.discovery import ADDRESS_ANNOTATION, leader_address
from controller.log_relay.errors import LogRelayError, NoLeaderError, RelayProtocolError
from controller.log_relay.mirror import LogMirror
from controller.log_relay.server import OperatorServer

__all__ = [
    "ADDRESS_ANNOTATION",
    "LogMirror",
    "LogRelayError",
    "NoLeaderError",
    "OperatorServer",
    "RelayProtocolError",
    "derive_relay_key",
    "leader_address",
]
