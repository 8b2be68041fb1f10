"""The built-in controllers: Jobs, garbage collection, namespaces, quotas, CRDs, cluster roles, Events.

All run in one task on one stream of changes and act at once; deadlines and back-offs wait in a delay queue.
"""

from embedded.controllers.manager import run_controllers

__all__ = ["run_controllers"]
