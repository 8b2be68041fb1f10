"""What makes objects act on each other: Jobs make pods, owners take what they own along, namespaces empty.

All of them live in one task on one stream of changes and act at once; what has
to wait (a deadline, a back-off) is a timer.
"""

from embedded.controllers.manager import run_controllers

__all__ = ["run_controllers"]
