"""The operator's settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorSettings:
    """What differs from one installation to another. Times are in seconds."""

    agent_command: Sequence[str]
    """How a pod starts the agent; `fetch` or `upload` is put behind it."""
    agent_api_url: str
    """Where the agent finds the API."""
    agent_key: bytes
    """Signs the capability tokens; the API holds the same key."""
    own_namespace: str = "c8s-system"
    """Where the Leases of concurrency groups are."""
    agent_image: str = "c8s-controller"
    """The image that has the agent."""
    pod_security: str = "baseline"
    """The Pod Security profile that steps' pods meet: `baseline`, where images may run as root, or `restricted`."""
    workers: int = 8
    """Runs that are worked on at once."""
    status_interval: float = 0.1
    """Status changes of a run of up to 100 steps are written together, this many seconds apart, those of larger ones
    in proportion: a write costs what the whole status costs. The first and the last are written at once."""
    log_timeout: float = 600.0
    """How long an ended run waits for the ends of its logs: as long as an object store may be away for a while."""
    capability_lifetime: float = 7 * 24 * 3600.0
    """How long a run's agents are let in."""
    history_limit: int = 200
    """Runs of a pipeline that are kept once they have ended; what they stored is kept for the retention."""
    retention: float = 30 * 24 * 3600.0
    """How long logs, artifacts, sources and caches stay that no run needs any more."""
    sweep_interval: float = 3600.0
    """Between two looks for what may go."""
    job_ttl: int = 3600
    """How long a run's Jobs and pods stay after its end; its logs and artifacts are elsewhere."""
