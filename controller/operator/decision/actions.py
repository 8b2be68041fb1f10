"""The actions that a decision can contain. Executing one twice is harmless."""

from __future__ import annotations

from dataclasses import dataclass

from controller.pipeline.graph.expand import ExpandedStep
from controller.run_types.keys import AttemptKey


@dataclass(frozen=True)
class StartAttempt:
    """Create the Job of an attempt.

    Attributes:
        early: whether it is made before its step is due, so that its pod waits at a closed gate.
    """

    step: ExpandedStep
    number: int
    early: bool = False


@dataclass(frozen=True)
class OpenGate:
    """Let the pod of a Job that was made ahead begin: its step is due."""

    step: ExpandedStep
    number: int
    name: str
    uid: str


@dataclass(frozen=True)
class WithdrawJob:
    """Delete a Job that was made ahead, unless its gate is open by now."""

    slug: str
    number: int
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True)
class StopPod:
    """Let the kubelet stop a pod, which keeps the pod and its logs."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class DeleteJob:
    """Delete the Job of an attempt whose pod no node runs: no kubelet would stop it, and it has no logs."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class VerifyJob:
    """Check at the API server whether the Job of an attempt exists: the informer may be stale."""

    slug: str
    number: int
    job_name: str


@dataclass(frozen=True)
class VerifyPod:
    """Check at the API server whether a Job that has failed has a pod: its informer may be behind that of the Jobs."""

    slug: str
    number: int
    job_uid: str


@dataclass(frozen=True)
class ReadManifest:
    """Read the manifest of the artifacts of an attempt from the object store."""

    slug: str
    number: int


@dataclass(frozen=True)
class ReadWorkspace:
    """Read the manifest of the saved workspace of a failed attempt from the object store."""

    slug: str
    number: int


@dataclass(frozen=True)
class ReadWaiting:
    """Read what attempts wait for outside of the run.

    Attributes:
        suspended: attempts whose Jobs are suspended, with the uids of the Jobs and their queues.
        pending: attempts whose pods no node takes, with the uids of the pods.
    """

    suspended: tuple[tuple[AttemptKey, str, str], ...]
    pending: tuple[tuple[AttemptKey, str], ...]


@dataclass(frozen=True)
class ReadProvidedSecrets:
    """Read the Secrets that the CSI driver made for an attempt: until then, no log of the run is followed anew."""

    attempt: AttemptKey
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class PrepareSecrets:
    """Create the run's own Secrets: copies of the values that it uses, and its agents' token."""


@dataclass(frozen=True)
class CancelRun:
    """Cancel another run of the same namespace and concurrency group."""

    name: str
    uid: str


Action = (
    StartAttempt
    | OpenGate
    | WithdrawJob
    | StopPod
    | DeleteJob
    | VerifyJob
    | VerifyPod
    | ReadManifest
    | ReadWorkspace
    | ReadWaiting
    | ReadProvidedSecrets
    | PrepareSecrets
    | CancelRun
)
