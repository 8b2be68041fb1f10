"""The reasons that the operator gives for the phases of runs and steps."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason of a phase, in CamelCase.

    Attributes:
        phases: the phases that it occurs with, as text.
        description: what it means, as part of a sentence.
    """

    phases: str
    description: str

    def __new__(cls, value: str, phases: str, description: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.phases = phases
        member.description = description
        return member


class RunReason(Reason):
    """The reason of a run's phase, and of its condition `Succeeded`."""

    STARTING = "Starting", "Pending", "no step has started yet"
    CONCURRENCY_GROUP = "ConcurrencyGroup", "Queued", "waits for an earlier run of its concurrency group"
    APPROVAL_REQUIRED = (
        "ApprovalRequired",
        "Queued",
        "the run of a pull request from a fork waits until a user with the right approves it",
    )
    APPROVAL_EXPIRED = "ApprovalExpired", "Cancelled", "nobody approved the run of a pull request from a fork in time"
    STEPS_RUNNING = "StepsRunning", "Running", "at least one step has started"
    COLLECTING_LOGS = "CollectingLogs", "Running", "all steps have finished; their last log lines are being stored"
    SUCCEEDED = "Succeeded", "Succeeded", "every step succeeded, was skipped, or failed with `allowFailure`"
    STEP_FAILED = "StepFailed", "Failed", "a step failed; `message` names the first one"
    TIMEOUT = "Timeout", "Failed", "the run exceeded the pipeline's `timeout`; its steps were stopped"
    INVALID_PIPELINE = "InvalidPipeline", "Failed", "the definition is not valid; `message` says why"
    TOO_EXPENSIVE = (
        "TooExpensive",
        "Failed",
        "preparing it would exceed a limit, took too long, or ended the operator; `message` says which",
    )
    READING_PIPELINE = "ReadingPipeline", "Running", "the repository is cloned; its pipeline file is being checked"
    NOT_TRIGGERED = (
        "NotTriggered",
        "Cancelled",
        "the pipeline file of the repository asks for no run on this event; `message` says which condition failed",
    )
    RUN_CANCELLED = "RunCancelled", "Cancelled", "a user, or a later run with `cancel-running`, cancelled it"


class StepReason(Reason):
    """The reason of a step's or an attempt's phase.

    Where Kubernetes gives a reason of its own for a pod that failed before its step started, that one is passed on.
    """

    WAITING_FOR_STEPS = "WaitingForSteps", "Pending", "a step that it depends on has not finished"
    WAITING_AT_GATE = (
        "WaitingAtGate",
        "Pending",
        "its pod was made ahead and waits until the steps that it depends on have finished (`prestart`)",
    )
    CONCURRENCY_GROUP = "ConcurrencyGroup", "Pending", "the run waits for another run of its group"
    MAX_PARALLEL = "MaxParallel", "Pending", "as many steps run as the pipeline's `maxParallel` allows"
    PREPARING = (
        "Preparing",
        "Pending",
        "the run's secrets are being copied, or its source or reused steps are being recorded",
    )
    RETRYING = "Retrying", "Pending", "the previous attempt failed; the next one starts after the back-off"
    OVER_QUOTA = "OverQuota", "Pending", "a ResourceQuota is used up; retried when it has room"
    NOT_CREATED = (
        "NotCreated",
        "Pending",
        "the Job or pod could not be created, or the cluster did not answer whether it was; retried",
    )
    NAME_TAKEN = "NameTaken", "Pending", "a Job of that name belongs to another owner; retried"
    CREATED = "Created", "Pending", "the Job exists or is being created; there is no pod yet"
    WAITING_FOR_ADMISSION = (
        "WaitingForAdmission",
        "Pending",
        "its Job is suspended until a queue of the cluster (Kueue) admits it; `message` says which, and what it lacks",
    )
    UNSCHEDULABLE = "Unschedulable", "Pending", "no node accepts the pod now"
    IMAGE_PULL = "ImagePull", "Pending", "the image cannot be pulled; Kubernetes retries"
    STARTING = "Starting", "Pending", "the pod is starting"
    HELD = "Held", "Pending, Running", "a breakpoint holds the step; `c8s continue` lets it go on"
    FETCHING = "Fetching", "Pending", "the agent fetches source and artifacts"
    RUNNING = "Running", "Running", "the commands run"
    UPLOADING = "Uploading", "Running", "the commands succeeded; the artifacts are being stored or checked"
    SUCCEEDED = "Succeeded", "Succeeded", "the commands ended with exit code 0 and the artifacts are stored"
    REUSED = "Reused", "Succeeded", "an identical step of an earlier run succeeded; `reused` names it"
    EXIT_CODE = "ExitCode", "Failed", "the commands ended with another exit code, or a signal killed them"
    OOM_KILLED = "OOMKilled", "Failed", "the step used more memory than its limit"
    TIMEOUT = (
        "Timeout",
        "Failed, Cancelled",
        "the step exceeded its `timeout` (Failed), or the run exceeded its timeout (Cancelled)",
    )
    START_ERROR = "StartError", "Failed", "the container could not be started"
    FETCH_FAILED = "FetchFailed", "Failed", "source or artifacts could not be fetched; the log of `agent` has details"
    ARTIFACT_UPLOAD_FAILED = (
        "ArtifactUploadFailed",
        "Failed",
        "artifacts could not be stored; the log of `agent` has details",
    )
    SERVICE_FAILED = "ServiceFailed", "Failed", "a service did not become ready, or cannot run on this cluster"
    SECRET_MISSING = "SecretMissing", "Failed, Pending", "a Secret or a key of it does not exist"
    NEVER_FITS = "NeverFits", "Failed", "the requested resources exceed every node, or the hard limit of a quota"
    JOB_INVALID = "JobInvalid", "Failed", "the cluster rejects the Job"
    DISRUPTED = (
        "Disrupted",
        "Failed",
        "the pod was evicted or deleted, or its node went away; retried up to five times, without counting as a retry",
    )
    POD_FAILED = (
        "PodFailed",
        "Failed",
        "the pod failed before the step started or after its commands succeeded, and Kubernetes gives no reason; "
        "otherwise the reason is the pod's",
    )
    DEPENDENCY_FAILED = "DependencyFailed", "Skipped", "a step that it depends on failed"
    CONDITION_NOT_MET = "ConditionNotMet", "Skipped", "its condition does not hold"
    RUN_CANCELLED = "RunCancelled", "Cancelled", "the run was cancelled"


class StopCause(StrEnum):
    """Why an attempt is being stopped: `stopping` of its status, while it still runs."""

    CANCELLED = "Cancelled"
    RUN_TIMEOUT = "RunTimeout"
    STEP_TIMEOUT = "Timeout"
