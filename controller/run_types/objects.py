"""The shape of a PipelineRun as dictionaries, with the description of each field of its status.

A string in `Annotated` is the field's description. Import it under `TYPE_CHECKING`: the classes are only needed at
run time to generate schemas.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Required, TypedDict

from controller.run_types.phases import RunPhase, StepPhase


class Schema(NamedTuple):
    """What a field's schema says beyond its Python type.

    Attributes:
        required: whether the CustomResourceDefinition requires it. A `Required` field is one that the controller
            always writes; the CustomResourceDefinition accepts objects without most of them.
        enum: the values that the controller writes, for the OpenAPI document; the CustomResourceDefinition accepts
            others.
        is_open: an object of which all fields are preserved, also unknown ones.
        is_any: the CustomResourceDefinition accepts any value, because older versions wrote another type.
    """

    format: str = ""
    required: bool = False
    enum: type[StrEnum] | None = None
    is_open: bool = False
    is_any: bool = False


Timestamp = Annotated[str, Schema(format="date-time")]
"""RFC 3339 with microseconds, in UTC."""
Int64 = Annotated[int, Schema(format="int64")]
_KEY = Schema(required=True)


class FirstFailure(TypedDict, total=False):
    """The first line of a failed step's log that looks like the cause."""

    line: Annotated[int, "Number of the line in the log, from 1."]
    text: Annotated[str, "The line, without control characters, shortened."]
    file: Annotated[str, "The source file that the line refers to, if it names one."]
    fileLine: Annotated[int, "The line in that file, from 1."]


class LogSummary(TypedDict, total=False):
    """The archived log of the attempt's `step` container."""

    lines: Annotated[int, "Number of lines."]
    bytes: Annotated[int, "Size of the masked log."]
    sha256: Annotated[str, "SHA-256 of the masked log, in hexadecimal."]
    archived: Annotated[bool, "True once the whole log is stored."]
    firstFailure: Annotated[FirstFailure, "The first line that looks like the cause of a failure."]
    lastLine: Annotated[str, "The last line of a failed step."]
    lastCommand: Annotated[int, "Index of the command that started last, from 0, of a step with several commands."]


class SavedWorkspace(TypedDict, total=False):
    """What was saved of the workspace of a failed attempt (`keepOnFailure`)."""

    bytes: Annotated[Int64, "Size of the archive."]
    files: Annotated[Int64, "Number of files."]
    leftOut: Annotated[Int64, "Number of files that were not saved because they could not be read."]
    problem: Annotated[str, "Why nothing was saved."]


class TestCounts(TypedDict, total=False):
    """How many tests the reports of an attempt have; the tests are in the object store."""

    total: Annotated[int, "Number of tests."]
    failed: Annotated[int, "Tests that failed, or ended with an error."]
    skipped: Annotated[int, "Tests that were skipped."]
    warnings: Annotated[int, "Number of reports that could not be read, and of limits that were reached."]
    warning: Annotated[str, "The first of these warnings."]


class ResourceUsage(TypedDict, total=False):
    """What the container of the step has used; absent where nothing was measured, as of steps of a second or less."""

    memory: Annotated[Int64, "Peak of memory, in bytes."]
    cpu: Annotated[int, "Peak of CPU, in thousandths of a core."]
    samples: Annotated[int, "Number of measurements."]
    interval: Annotated[int, "Seconds that each value over time stands for."]
    every: Annotated[int, "Measurements that each value over time stands for; the value is the highest of them."]
    memoryOverTime: Annotated[list[int], "Memory in MiB, first to last."]
    cpuOverTime: Annotated[list[int], "CPU in thousandths of a core, first to last."]


class AttemptTimes(TypedDict, total=False):
    """When an attempt reached each point; absent until it has."""

    queued: Annotated[Timestamp, "From here on only limits held it back: maxParallel, quota, group, back-off."]
    created: Required[Annotated[Timestamp, "The Job was created."]]
    admitted: Annotated[Timestamp, "A queue of the cluster admitted the Job; absent if it never waited for that."]
    scheduled: Annotated[Timestamp, "The pod was assigned to a node."]
    pulling: Annotated[Timestamp, "An image was being pulled; absent when it was present."]
    fetching: Annotated[Timestamp, "The agent started, which fetches what the step needs."]
    running: Annotated[Timestamp, "The step's commands began."]
    finished: Annotated[Timestamp, "The step's own container ended; uploads follow."]
    uploaded: Annotated[Timestamp, "The artifacts were stored."]
    ended: Annotated[Timestamp, "The whole pod had ended, with its uploads; its agents' tokens are refused since then."]


class AttemptStatus(TypedDict, total=False):
    """One attempt of a step: one Job with one pod."""

    number: Required[Annotated[int, _KEY, "Number of the attempt, from 1."]]
    jobName: Required[Annotated[str, "Name of the Job."]]
    podName: Annotated[str, "Name of the pod."]
    phase: Required[Annotated[str, Schema(enum=StepPhase), "Phase of the attempt."]]
    reason: Required[Annotated[str, "Reason of the phase, in CamelCase."]]
    message: Annotated[str, "One sentence that says why."]
    exitCode: Annotated[int, "Exit code of the step's container."]
    stopping: Annotated[str, "Why the attempt is being stopped."]
    held: Annotated[str, "Where the attempt is held, while it is: `before`, `after` or `failed`."]
    early: Annotated[bool, "True if its pod was made while the steps that it depends on ran (`prestart`)."]
    unconfirmed: Annotated[
        bool, "True while it has succeeded by the word of its own first process, and the cluster has not noticed it."
    ]
    reportedExitCode: Annotated[
        int, "The exit code that its own first process reported, where the cluster reports another end."
    ]
    times: Required[Annotated[AttemptTimes, "When the attempt reached each point."]]
    containers: Annotated[list[str], "Containers that have a log."]
    log: Annotated[LogSummary, Schema(is_open=True), "The archived log of the container `step`."]
    kept: Annotated[SavedWorkspace, "The saved workspace of a failed attempt."]
    tests: Annotated[TestCounts, "How many tests its reports have."]
    usage: Annotated[ResourceUsage, "CPU and memory that the step has used."]


class ArtifactCount(TypedDict):
    """How many files a step has stored; their list is in the object store."""

    files: Annotated[int, "Number of files."]
    bytes: Annotated[Int64, "Sum of their sizes."]


class ReusedAttempt(TypedDict):
    """The attempt that really produced the result of a reused step."""

    run: Annotated[str, "Name of the run."]
    uid: Annotated[str, "The uid of the run, which identifies it after its name is used again."]
    slug: Annotated[str, "Slug of the step."]
    attempt: Annotated[int, "Number of the attempt."]


class StepStatus(TypedDict, total=False):
    """One step of the expanded pipeline."""

    name: Required[Annotated[str, _KEY, "Display name, unique in the run, for example `test (python=3.12)`."]]
    slug: Required[Annotated[str, "DNS label, unique in the run, used in names and paths."]]
    matrixOf: Annotated[str, "Of a combination of a step's own matrix: the name that all its combinations share."]
    dependsOn: Required[
        Annotated[
            list[str], "Names of the steps that it depends on; `matrixOf` of those with a matrix, for all of them."
        ]
    ]
    allowFailure: Required[Annotated[bool, "Whether the run may succeed although the step fails."]]
    phase: Required[Annotated[str, Schema(enum=StepPhase), "Phase of the step."]]
    reason: Required[Annotated[str, "Reason of the phase, in CamelCase."]]
    message: Annotated[str, "One sentence that says why."]
    startTime: Annotated[Timestamp, "When the first attempt was created."]
    completionTime: Annotated[Timestamp, "When the step ended."]
    artifacts: Annotated[
        ArtifactCount, Schema(is_any=True), "How many files the step stored. Older versions listed the files here."
    ]
    firstFailure: Annotated[
        FirstFailure, Schema(is_open=True), "The first line that looks like the cause of a failure."
    ]
    inputs: Annotated[str, "SHA-256 over everything that the step is made from, for reuse."]
    reused: Annotated[ReusedAttempt, "Where the result comes from, with reason `Reused`."]
    attempts: Annotated[list[AttemptStatus], "The attempts, first to last."]


class RunSummary(TypedDict):
    """Number of steps by phase."""

    total: Annotated[int, "All steps."]
    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    running: int
    pending: int
    progress: Annotated[str, "Ended steps of all steps, for example `3/12`."]


class RuntimeInfo(TypedDict):
    """The container runtime of the cluster's nodes."""

    images: Annotated[str, "`used`, or `ignored` where steps run as plain processes."]
    name: Annotated[str, "Name and version, as the node reports them."]


class SourceSnapshot(TypedDict, total=False):
    """The snapshot of a git source, once it is cloned."""

    digest: Annotated[str, "`sha256:` and the digest of the stored archive."]
    commit: Required[Annotated[str, "The commit, 40 or 64 hexadecimal digits."]]
    size: Annotated[Int64, "Size of the archive in bytes."]


class Condition(TypedDict, total=False):
    """A Kubernetes condition."""

    type: Required[Annotated[str, _KEY, "Type of the condition; `Succeeded` for runs."]]
    status: Required[Annotated[str, _KEY, "`True`, `False` or `Unknown`."]]
    reason: Annotated[str, "Reason in CamelCase."]
    message: Annotated[str, "One sentence that says why."]
    lastTransitionTime: Annotated[Timestamp, "When `status` last changed."]
    observedGeneration: Annotated[Int64, "Generation of the object that the condition is about."]


class PipelineProblem(TypedDict, total=False):
    """An error in the pipeline file of the repository."""

    file: Required[Annotated[str, "Path of the file in the repository."]]
    line: Required[Annotated[int, "Line, from 1."]]
    column: Required[Annotated[int, "Column, from 1."]]
    message: Required[Annotated[str, "What is wrong, and what would be right."]]


class RunStatus(TypedDict, total=False):
    """The status of a PipelineRun."""

    observedGeneration: Annotated[Int64, "Generation of the run that the status is about."]
    phase: Required[Annotated[str, Schema(enum=RunPhase), "Phase of the run."]]
    reason: Annotated[str, "Reason of the phase, in CamelCase."]
    message: Annotated[str, "One sentence that says why."]
    createdBy: Annotated[
        str,
        "The user who created the run, as the API authenticated them; absent for runs created without the API.",
    ]
    startTime: Annotated[Timestamp, "When the operator accepted the run."]
    completionTime: Annotated[Timestamp, "When the last step ended."]
    summary: Annotated[RunSummary, "Number of steps by phase."]
    runtime: Annotated[RuntimeInfo, "The container runtime of the cluster's nodes."]
    criticalPath: Annotated[list[str], "The chain of steps that determined the run's duration, once it has ended."]
    source: Annotated[SourceSnapshot, "The snapshot of a git source, once it is cloned."]
    problems: Annotated[
        list[PipelineProblem], "The first errors in the pipeline file that the repository has at the run's commit."
    ]
    group: Annotated[str, "The concurrency group, with its variables filled in."]
    conditions: Annotated[list[Condition], "The condition `Succeeded`."]
    steps: Annotated[list[StepStatus], "All steps of the expanded pipeline, in the order of the file."]


class ArchiveSource(TypedDict, total=False):
    """An uploaded working tree."""

    digest: Required[str]
    contents: str
    pipelineFile: str


class GitSource(TypedDict, total=False):
    """A repository that the run's first step clones."""

    url: Required[str]
    revision: str
    submodules: bool
    secretRef: str
    ref: str


class SavedWorkspaceSource(TypedDict, total=False):
    """The saved workspace of a failed attempt, of which the run is a debug copy."""

    run: Required[str]
    uid: str
    number: str
    step: Required[str]
    attempt: Required[int]


class RunSource(TypedDict, total=False):
    """Where the files of a run come from: one of the three, or none."""

    archive: ArchiveSource
    git: GitSource
    kept: SavedWorkspaceSource


class Trigger(TypedDict, total=False):
    """The event of a repository that the run is for."""

    base: str
    pullRequest: int
    message: str
    connection: str
    connectionUid: str
    provider: str
    delivery: str
    sender: str
    fork: bool
    needsApproval: bool


class Approval(TypedDict, total=False):
    """Who let a run of a stranger's pull request start, as the API signed it."""

    by: Required[str]
    proof: Required[str]


class Breakpoint(TypedDict, total=False):
    """Where a step is held."""

    step: Required[str]
    at: str


class FailedStep(TypedDict):
    """A step of which only the failed tests are run again, and the attempt in which they failed."""

    step: str
    attempt: int


class FailedTests(TypedDict):
    """The run whose failed tests are run again."""

    run: str
    uid: str
    steps: list[FailedStep]


class RunSpec(TypedDict, total=False):
    """The spec of a PipelineRun."""

    pipelineConfigRef: dict[str, str]
    pipelineFrom: str
    pipelineFile: str
    trigger: Trigger
    approved: Approval
    pipeline: dict[str, Any]
    commit: str
    branch: str
    event: str
    changedFiles: list[str]
    params: dict[str, str]
    source: RunSource
    priority: str
    triggeredBy: str
    rerunOf: str
    rerunOfUid: str
    reuseFrom: str
    reuseFromUid: str
    cancel: bool
    prestart: int
    failedTests: FailedTests
    breakpoints: list[Breakpoint]
    verifyInputs: bool
    reuse: bool
    watch: bool


class ObjectMeta(TypedDict, total=False):
    """The part of Kubernetes' ObjectMeta that the controller reads."""

    name: Required[str]
    namespace: Required[str]
    uid: Required[str]
    resourceVersion: Required[str]
    generation: int
    creationTimestamp: str
    deletionTimestamp: str
    labels: dict[str, str]
    annotations: dict[str, str]
    finalizers: list[str]
    ownerReferences: list[dict[str, Any]]


class RunObject(TypedDict, total=False):
    """A PipelineRun as the Kubernetes API returns it."""

    apiVersion: str
    kind: str
    metadata: Required[ObjectMeta]
    spec: Required[RunSpec]
    status: RunStatus
