"""Live logs where API and operator are processes of their own: the leader streams its hub, the API mirrors it.

`Door` is the operator's small HTTP server, `Mirror` the hub that the API reads from. Lines are masked and numbered
before they come here; this room changes neither.
"""

from controller.log_relay.auth import live_key
from controller.log_relay.discovery import ADDRESS, leader_address
from controller.log_relay.errors import BadStreamError, LiveError, NoLeaderError
from controller.log_relay.mirror import Mirror
from controller.log_relay.server import Door

__all__ = ["ADDRESS", "BadStreamError", "Door", "LiveError", "Mirror", "NoLeaderError", "leader_address", "live_key"]
