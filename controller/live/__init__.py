"""Live logs where API and operator are processes of their own: the leader streams its hub, the API mirrors it.

`Door` is the operator's small HTTP server, `Mirror` the hub that the API reads from. Lines are masked and numbered
before they come here; this room changes neither.
"""

from controller.live.door import Door
from controller.live.errors import BadStreamError, LiveError, NoLeaderError
from controller.live.leader import ADDRESS, leader_address
from controller.live.mirror import Mirror
from controller.live.proof import live_key

__all__ = ["ADDRESS", "BadStreamError", "Door", "LiveError", "Mirror", "NoLeaderError", "leader_address", "live_key"]
