"""Live logs across processes: the leader streams its hub, the API mirrors it.

`OperatorServer` is the operator's small HTTP server, `LogMirror` the hub that the API reads from. Lines are already
masked and numbered.
"""

from controller.log_relay.auth import derive_relay_key
from controller.log_relay.discovery import leader_address
from controller.log_relay.errors import LogRelayError, NoLeaderError, RelayProtocolError
from controller.log_relay.mirror import LogMirror
from controller.log_relay.server import OperatorServer

__all__ = [
    "LogMirror",
    "LogRelayError",
    "NoLeaderError",
    "OperatorServer",
    "RelayProtocolError",
    "derive_relay_key",
    "leader_address",
]
