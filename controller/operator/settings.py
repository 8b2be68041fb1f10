"""The operator's settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorSettings:
    """The settings of the operator. Durations are in seconds."""

    agent_command: Sequence[str]
    """The command that starts the agent in a pod; `fetch` or `upload` is appended."""
    agent_api_url: str
    """URL of the API for agents."""
    agent_key: bytes
    """Signs the capability tokens; the API has the same key."""
    own_namespace: str = "c8s-system"
    """Namespace of the Leases of concurrency groups."""
    agent_image: str = "c8s-controller"
    """Image with the agent."""
    step_agents: str = "needed"
    """When an agent runs beside a step: `needed`, when there are files to fetch or to store, or `always`, also to
    report the end of the step sooner than the kubelet."""
    prestart: int = 2
    """Pods of a run that may be made ahead, while the steps that theirs depend on run; 0 for none."""
    queue: str = ""
    """The LocalQueue of Kueue that Jobs wait in, where no run, pipeline or namespace names one; empty for none."""
    pod_security: str = "baseline"
    """The Pod Security profile that steps' pods meet: `baseline`, where images may run as root, or `restricted`."""
    workers: int = 8
    """Number of concurrent reconciles."""
    status_interval: float = 0.1
    """Seconds between two status writes of a run of up to 100 steps; proportionally more for larger runs, because a
    write costs as much as the whole status. A change after that time, the first status, and a change of the run's phase
    are written at once."""
    log_timeout: float = 600.0
    """How long an ended run waits until its logs are archived, for example while the object store is unavailable."""
    capability_lifetime: float = 7 * 24 * 3600.0
    """How long the tokens of a run's agents are valid."""
    history_limit: int = 200
    """Ended runs that are kept for each pipeline; their stored objects are kept for `retention`."""
    retention: float = 30 * 24 * 3600.0
    """How long logs, artifacts, sources and caches are kept that no run needs."""
    watch_retention: float = 24 * 3600.0
    """How long runs that were started by watching are kept, with what they have stored."""
    sweep_interval: float = 3600.0
    """Between two sweeps."""
    job_ttl: int = 3600
    """How long Jobs and pods are kept after a run's end; its logs and artifacts are in the object store."""
