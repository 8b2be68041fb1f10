"""The shapes that go over the wire: camelCase, closed (an unknown field is an error), and shown in the
OpenAPI document.

Answers that are copied from Kubernetes objects (a run and its status) are built as plain dictionaries in runs.py and
only described here: validating what we wrote ourselves would cost more than reading it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

from controller.pipeline.conditions import MAX_CHANGED_FILES

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
HEX_DIGEST_PATTERN = r"^[0-9a-f]{64}$"
# Git takes a leading dash for an option, and `ext::…` for a command to be run.
GIT_URL_PATTERN = (
    r"^(?:(?:https?|ssh|git|file)://[^\s\x00-\x1f\x7f]+|[A-Za-z0-9_.]+@[A-Za-z0-9.-]+:[^\s\x00-\x1f\x7f]+)$"
)
GIT_REVISION_PATTERN = r"^[A-Za-z0-9_.+=@/#][-A-Za-z0-9_.+=@/#]*$"
# The name of most objects of Kubernetes: labels with dots between them.
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"


# These become variables of a step's environment, labels of logs and cells of tables: one line each, and no NUL.
ShortText = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Event = Literal["push", "pull_request", "tag", "manual"]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]
ParamName = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ParamValue = Annotated[str, StringConstraints(max_length=65_536, pattern=r"^[^\x00]*$")]


class RequestModel(BaseModel):
    """What all bodies share."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class ResponseModel(BaseModel):
    """An answer that is described here and never validated."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", defer_build=True)


class Entry(ResponseModel):
    """One finding of lint, or one reason why a request was refused.

    Positions count from 1 and are null where there is no file.
    """

    line: int | None = None
    column: int | None = None
    path: str = Field("", examples=["steps[2].dependsOn[0]"])
    severity: Literal["error", "warning", "hint"] = "error"
    code: str = Field(examples=["step.unknown-dependency"])
    message: str
    hint: str | None = None


class ProblemDocument(ResponseModel):
    """RFC 9457. `type` is `urn:c8s:problem:<name>`; docs/api.md explains each name."""

    type: str = Field(examples=["urn:c8s:problem:not-found"])
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="names this occurrence in the controller's log")
    problems: list[Entry] | None = None


class LintRequest(RequestModel):
    """A pipeline file's text; with `event` the answer says whether the file would run for it."""

    text: str = Field(max_length=1_000_000, examples=["version: v1alpha1\nname: hello\nsteps: []\n"])
    event: str | None = Field(None, max_length=64)
    branch: str | None = Field(None, max_length=255)


class WouldRun(ResponseModel):
    """Whether an event would start a run, and why or why not."""

    runs: bool
    why: str


class LintAnswer(ResponseModel):
    """What lint found; an empty list means nothing is wrong."""

    problems: list[Entry]
    would_run: WouldRun | None = None


class ArchiveSource(RequestModel):
    """A stored working tree, by the digest of its tar.gz."""

    digest: str = Field(pattern=DIGEST_PATTERN, examples=["sha256:" + 64 * "0"])
    contents: str | None = Field(
        None,
        pattern=DIGEST_PATTERN,
        description="names the files without the pipeline's own, to tell what can be reused",
    )


class GitSource(RequestModel):
    """A repository at a revision: a branch, a tag or a commit. `secretRef` names the Secret to clone with."""

    url: str = Field(max_length=2048, pattern=GIT_URL_PATTERN, examples=["https://github.com/org/my-app"])
    revision: str = Field(max_length=255, pattern=GIT_REVISION_PATTERN, examples=["main"])
    submodules: bool | None = None
    secret_ref: str | None = Field(None, pattern=SUBDOMAIN_PATTERN)


class Source(RequestModel):
    """Where a run's files come from: exactly one of the two."""

    archive: ArchiveSource | None = None
    git: GitSource | None = None


EXAMPLE_PIPELINE: dict[str, JsonValue] = {
    "version": "v1alpha1",
    "name": "hello",
    "steps": [{"name": "say", "image": "busybox:1.36", "commands": ["echo hello"]}],
}


class RunRequest(RequestModel):
    """A run to be created, of either a `pipeline` or a `pipelineRef`.

    `pipeline` is the normalised file: its fields, `env` as a map. `pipelineRef` names a pipeline of the namespace.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pipeline": EXAMPLE_PIPELINE, "branch": "main", "event": "push"}]}
    )

    pipeline: dict[str, Any] | None = Field(None, examples=[EXAMPLE_PIPELINE])
    pipeline_ref: str | None = Field(None, pattern=NAME_PATTERN, examples=["hello"])
    source: Source | None = None
    branch: ShortText | None = None
    commit: ShortText | None = None
    event: Event | None = None
    changed_files: list[FileName] | None = Field(
        None,
        max_length=MAX_CHANGED_FILES,
        description="files that changed, for conditions on `paths`; absent: not known, and each such condition holds",
        examples=[["src/app.py"]],
    )
    params: dict[ParamName, ParamValue] = Field(default_factory=dict, max_length=100)
    priority: Literal["high", "normal", "low"] | None = None
    triggered_by: ShortText | None = None
    reuse_from: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        description="a run; steps that succeeded there and would be the same are not run again",
    )


class RerunRequest(RequestModel):
    """The same run again; what is given replaces what the run had. Without `fromFailed` every step runs again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"fromFailed": True}]})

    from_failed: bool = Field(False, description="don't run again what succeeded and would be the same")
    keep_on_failure: bool = Field(
        False, description="keep the workspaces of steps that fail, unless a step itself says otherwise"
    )
    pipeline: dict[str, Any] | None = None
    source: Source | None = None
    params: dict[ParamName, ParamValue] = Field(default_factory=dict, max_length=100)


class CopyRequest(RequestModel):
    """A copy of a failed step whose workspace was kept: of which attempt (the last that was kept), and for how long."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"seconds": 3600}]})

    attempt: int | None = Field(None, ge=1, le=1000)
    seconds: int = Field(3600, ge=60, le=86_400, description="when the copy ends by itself")


class CopyOf(ResponseModel):
    """The failed step that a run is a copy of, by its slug."""

    run: str
    step: str
    attempt: int


class PipelineRequest(RequestModel):
    """A pipeline to be kept: the file as JSON, `env` as a map, its name that of the path."""

    definition: dict[str, Any] = Field(examples=[EXAMPLE_PIPELINE])


class PipelineAnswer(ResponseModel):
    """A pipeline of the namespace."""

    name: str
    definition: dict[str, Any]
    resource_version: str
    created_at: str | None


class PipelineList(ResponseModel):
    """The pipelines of the namespace, by name."""

    items: list[PipelineAnswer]


class EventObject(ResponseModel):
    """What an event is about."""

    kind: str
    name: str


class RunEvent(ResponseModel):
    """Something that Kubernetes or the controller noted about a run, one of its Jobs or its pods."""

    type: str | None
    reason: str | None
    message: str
    count: int
    first_time: str | None
    last_time: str | None
    object: EventObject


class RunEvents(ResponseModel):
    """The events of a run, oldest first. Kubernetes keeps them for about an hour."""

    items: list[RunEvent]


class Run(ResponseModel):
    """A run as people see it; `definition` is absent in lists, `status` always has `phase`."""

    name: str
    namespace: str
    uid: str
    number: int | None
    pipeline: str | None
    created_at: str | None
    resource_version: str
    branch: str | None = None
    commit: str | None = None
    event: str | None = None
    params: dict[str, str] = Field(default_factory=dict)
    priority: str | None = None
    triggered_by: str | None = None
    rerun_of: str | None = None
    reuse_from: str | None = None
    copy_of: CopyOf | None = Field(None, description="of a copy of a failed step, made for a shell in it")
    cancel_requested: bool = False
    definition: dict[str, Any] | None = None
    status: dict[str, Any]


class RunList(ResponseModel):
    """One page of runs, newest first. A watch from `resourceVersion` misses nothing."""

    items: list[Run]
    continue_: str | None = Field(None, alias="continue")
    resource_version: str


class StoredSource(ResponseModel):
    """A source that is in the store."""

    digest: str
    size: int


class Artifact(ResponseModel):
    """One file that a step left."""

    step: str
    path: str
    size: int
    sha256: str


class ArtifactList(ResponseModel):
    """The files of a run, by step."""

    items: list[Artifact]


class SecretKeys(ResponseModel):
    """A secret's name and keys; values are never answered."""

    name: str
    keys: list[str]


class SecretList(ResponseModel):
    """The secrets that were set through this API."""

    items: list[SecretKeys]


class SecretRequest(RequestModel):
    """Values to set; keys that are not named keep theirs."""

    data: dict[str, str] = Field(min_length=1, max_length=100)


class ClusterAnswer(ResponseModel):
    """What the runs run on: the Nodes' runtime, whether images are used, the server's version."""

    runtime: str | None
    images: Literal["used", "ignored"]
    version: str | None
    namespaces: list[str]


class Waiting(ResponseModel):
    """A part that isn't ready."""

    part: str
    why: str


class ReadyAnswer(ResponseModel):
    """Whether the process can serve, and what it waits for."""

    ready: bool
    parts: list[str]
    waiting_for: list[Waiting]


class Part(ResponseModel):
    """A part of the controller; `message` says what it waits for."""

    name: str
    ready: bool
    message: str | None


class Queue(ResponseModel):
    """The runs that wait to begin, and how long the first of them has."""

    depth: int
    oldest_seconds: float | None


class QuotaAnswer(ResponseModel):
    """One limit of one ResourceQuota, in Kubernetes' quantities."""

    name: str
    resource: str
    used: str
    hard: str


class PodAnswer(ResponseModel):
    """A pod of a step."""

    name: str
    step: str | None
    run: str | None
    phase: str
    node: str | None
    started_at: str | None


class NamespaceCluster(ResponseModel):
    """How the namespace is doing."""

    ready: list[Part]
    queue: Queue
    quota: list[QuotaAnswer]
    pods: list[PodAnswer]


class TicketRequest(RequestModel):
    """The path of the socket that is to be opened, without host and query."""

    path: str = Field(
        max_length=1000,
        pattern=r"^/api/v1/namespaces/[^?#]+$",
        examples=["/api/v1/namespaces/default/runs/hello-1/logs/stream"],
    )


class Ticket(ResponseModel):
    """Opens that one WebSocket once, as `?ticket=`, until it expires."""

    ticket: str
    expires_at: str
