"""What `decide` can ask for. Each may be carried out twice without harm."""

from __future__ import annotations

from dataclasses import dataclass

from controller.pipeline.graph.expand import ExpandedStep


@dataclass(frozen=True)
class StartAttempt:
    """Create the Job of an attempt."""

    step: ExpandedStep
    number: int


@dataclass(frozen=True)
class StopPod:
    """Let the kubelet end the pod and keep it with its logs."""

    namespace: str
    name: str


@dataclass(frozen=True)
class DeleteJob:
    """Delete the Job of an attempt that no node has begun: no kubelet would end its pod, and it has no logs to lose."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class VerifyJob:
    """Ask the API server itself whether the Job of an attempt is gone: the cache may only be late."""

    slug: str
    number: int
    job_name: str


@dataclass(frozen=True)
class ReadManifest:
    """Ask the store what the agent of an attempt has committed."""

    slug: str
    number: int


@dataclass(frozen=True)
class ReadWorkspace:
    """Ask the store what became of the workspace of an attempt that failed."""

    slug: str
    number: int


@dataclass(frozen=True)
class PrepareSecrets:
    """Make the run's own Secrets: copies of the values it uses, and its agents' token."""


@dataclass(frozen=True)
class CancelRun:
    """Ask for the end of another run of the same namespace, which holds the concurrency group."""

    name: str


Action = StartAttempt | StopPod | DeleteJob | VerifyJob | ReadManifest | ReadWorkspace | PrepareSecrets | CancelRun
