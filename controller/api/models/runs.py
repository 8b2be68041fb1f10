"""Runs, their sources and their artifacts."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from controller.api.models.common import RequestModel, ResponseModel
from controller.api.models.pipelines import EXAMPLE_PIPELINE
from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.run_types import patterns
from controller.run_types.patterns import DIGEST_PATTERN, NAME_PATTERN

TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"

ShortText = Annotated[
    str, StringConstraints(max_length=patterns.MAX_SHORT_TEXT_LENGTH, pattern=patterns.SHORT_TEXT_PATTERN)
]
Event = Literal["push", "pull_request", "tag", "manual"]
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=patterns.MAX_FILE_NAME_LENGTH, pattern=patterns.FILE_NAME_PATTERN),
]
ParamName = Annotated[str, StringConstraints(max_length=255, pattern=patterns.PARAM_NAME_PATTERN)]
ParamValue = Annotated[
    str, StringConstraints(max_length=patterns.MAX_PARAM_VALUE_LENGTH, pattern=patterns.PARAM_VALUE_PATTERN)
]


class ArchiveSource(RequestModel):
    """A stored working tree, by the digest of its tar.gz."""

    digest: str = Field(pattern=DIGEST_PATTERN, examples=["sha256:" + 64 * "0"])
    contents: str | None = Field(
        None,
        pattern=DIGEST_PATTERN,
        description="SHA-256 of the entries of the archive, with their headers and without `pipelineFile` and the end "
        "of the archive: what decides which steps can be reused. The controller compares it with the archive before "
        "anything is reused",
    )
    pipeline_file: FileName | None = Field(
        None, description="path of the pipeline's own file in the archive, as the archive has it"
    )


class GitSource(RequestModel):
    """A repository at a revision: a branch, a tag or a commit. `secretRef` names the Secret to clone with."""

    url: str = Field(
        max_length=patterns.MAX_GIT_URL_LENGTH,
        pattern=patterns.GIT_URL_PATTERN,
        examples=["https://github.com/org/my-app"],
    )
    revision: str = Field(
        max_length=patterns.MAX_SHORT_TEXT_LENGTH, pattern=patterns.GIT_REVISION_PATTERN, examples=["main"]
    )
    submodules: bool | None = None
    secret_ref: str | None = Field(None, pattern=patterns.SUBDOMAIN_PATTERN)


class Source(RequestModel):
    """Where a run's files come from: exactly one of the two."""

    archive: ArchiveSource | None = None
    git: GitSource | None = None


BreakpointTime = Literal["before", "after", "failed"]


class Breakpoint(RequestModel):
    """A point where a step is held: before its commands, after they succeeded, or after they failed."""

    step: str = Field(min_length=1, max_length=255, description="name of a step, also for all its combinations")
    at: BreakpointTime = "before"


class BreakpointsRequest(RequestModel):
    """The breakpoints of a run, instead of those that it has. They are for steps that have not started."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"breakpoints": [{"step": "test", "at": "failed"}]}]})

    breakpoints: list[Breakpoint] = Field(max_length=patterns.MAX_BREAKPOINTS)


class ContinueRequest(RequestModel):
    """How a held step goes on: `go`; `retry` its commands in the same container; or `accept`: as if they succeeded."""

    action: Literal["go", "retry", "accept"] = "go"


class RunRequest(RequestModel):
    """A run to create, of either a `pipeline` or a `pipelineRef`.

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
        description="changed files, for conditions on `paths`; absent: unknown, and such conditions are met",
        examples=[["src/app.py"]],
    )
    params: dict[ParamName, ParamValue] = Field(default_factory=dict, max_length=patterns.MAX_PARAMS)
    priority: Literal["high", "normal", "low"] | None = None
    triggered_by: ShortText | None = None
    reuse_from: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        description="a run whose successful, identical steps are reused",
    )
    failed_tests_of: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        description="a run of which only the failed tests are run again, by steps with `rerunFailed`; identical steps "
        "of it are reused",
    )
    prestart: int | None = Field(
        None,
        ge=0,
        le=patterns.MAX_PRESTART,
        description="pods that may be made ahead, while the steps that theirs depend on run; 0: none; absent: as the "
        "pipeline says, else as the controller is set",
    )
    breakpoints: list[Breakpoint] = Field(
        default_factory=list, max_length=patterns.MAX_BREAKPOINTS, description="where steps are held"
    )
    verify_inputs: bool = Field(
        False,
        description="a step with `inputs` gets only these files of the source, and fails by itself if it needs others",
    )
    reuse: bool | None = Field(
        None,
        description="whether steps take the results of equal steps that succeeded in earlier runs of the pipeline; "
        "absent: as the pipeline says",
    )
    watch: bool = Field(
        False, description="the run was started because a file was saved: it is marked in lists, and expires sooner"
    )


class ApprovalRequest(RequestModel):
    """What is approved. `commit` is the one that the user has looked at, or its first digits."""

    commit: str | None = Field(None, pattern=patterns.COMMIT_PATTERN)


class RerunRequest(RequestModel):
    """Runs the same run again; what is given replaces what the run had. Without `fromFailed`, every step runs again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"fromFailed": True}]})

    from_failed: bool = Field(False, description="reuse steps that succeeded and are identical")
    failed_tests: bool = Field(
        False,
        description="like `fromFailed`, and steps with `rerunFailed` run only the tests that failed; refused (409) "
        "where there are none",
    )
    keep_on_failure: bool = Field(
        False, description="save the workspaces of failed steps, unless a step says otherwise"
    )
    pipeline: dict[str, Any] | None = None
    source: Source | None = None
    params: dict[ParamName, ParamValue] = Field(default_factory=dict, max_length=patterns.MAX_PARAMS)
    breakpoints: list[Breakpoint] = Field(
        default_factory=list, max_length=patterns.MAX_BREAKPOINTS, description="where steps are held; not those it had"
    )


class TestResult(ResponseModel):
    """The result of one test. Texts are bounded and masked; those of tests that passed are left out."""

    step: str = Field(description="slug of the step")
    attempt: int
    key: str = Field(description="identifies the test of this step in histories")
    name: str
    suite: str = Field("", description="class, module or package")
    outcome: Literal["passed", "failed", "error", "skipped"]
    seconds: float | None = None
    file: str | None = Field(None, description="path as the test tool has printed it")
    line: int | None = Field(None, description="line in the file, from 1: of the failure, else of the test")
    message: str | None = None
    details: str | None = Field(None, description="differences, a traceback")
    output: str | None = None
    rerun: str | None = Field(None, description="how the list for `rerunFailed` names a test that failed")


class StepTests(ResponseModel):
    """The reports of one step: of its last attempt that has stored any."""

    step: str
    name: str
    attempt: int
    total: int
    failed: int
    skipped: int
    seconds: float = Field(description="sum of the durations of the tests")
    can_rerun_failed: bool = Field(description="whether the step says how only its failed tests are run")
    partial: bool = Field(False, description="whether only tests were run that had failed in an earlier run")
    warnings: list[str] = Field(default_factory=list, description="reports that could not be read, and why")


class TestList(ResponseModel):
    """The tests of a run, by step, those that failed first; `continue` if there are more."""

    steps: list[StepTests]
    items: list[TestResult]
    continue_: str | None = Field(None, alias="continue")


class TestAttempt(ResponseModel):
    """An attempt of the step in a run of the pipeline."""

    run: str
    number: int | None
    attempt: int
    commit: str | None = None


class TestHistory(ResponseModel):
    """The outcomes of a step's tests in the last runs of the pipeline, also of runs that are removed.

    In `tests`, each test has a letter for each of the `attempts`, oldest first: `P` passed, `F` failed, `S` skipped,
    `-` not run. `flaky` are tests that have failed and passed on the same inputs.
    """

    attempts: list[TestAttempt]
    tests: dict[str, str]
    flaky: list[str]


class CopyRequest(RequestModel):
    """A debug copy of a failed step: of which attempt (default: the last saved one), and for how long."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"seconds": 3600}]})

    attempt: int | None = Field(None, ge=1, le=patterns.MAX_ATTEMPT)
    seconds: int = Field(3600, ge=60, le=86_400, description="seconds after which the copy ends by itself")


class CopyOf(ResponseModel):
    """The failed step that a run is a debug copy of, by its slug."""

    run: str
    uid: str | None = Field(None, description="uid of that run: its name may be used again")
    step: str
    attempt: int


class RunTrigger(ResponseModel):
    """What happened in a repository, for a run that a delivery of a forge started."""

    connection: str | None = None
    provider: str | None = None
    delivery: str | None = None
    pull_request: int | None = None
    sender: str | None = Field(None, description="the user who caused it, as the forge names them")
    fork: bool = Field(False, description="a pull request from a fork: no secrets, no caches saved")
    needs_approval: bool = False
    approved_by: str | None = None
    reported: dict[str, str] = Field(
        default_factory=dict, description="state by name of a commit status, as last reported to the forge"
    )
    report_problem: str | None = Field(None, description="why the forge did not take the last status")


class RunBreakpoint(ResponseModel):
    """A point where a step of the run is held, if its pod was made after it was set."""

    step: str
    at: str


class Run(ResponseModel):
    """A run; `definition` is absent in lists, `status` always has `phase`."""

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
    triggered_by: str | None = Field(None, description="who started the run, as its request says")
    created_by: str | None = Field(
        None, description="the authenticated user who created the run; null if that is not proven, or not yet"
    )
    rerun_of: str | None = None
    rerun_of_uid: str | None = Field(None, description="uid of that run: its name may be used again")
    reuse_from: str | None = None
    reuse_from_uid: str | None = Field(None, description="uid of that run: its name may be used again")
    trigger: RunTrigger | None = None
    copy_of: CopyOf | None = Field(None, description="of a debug copy of a failed step")
    cancel_requested: bool = False
    verify_inputs: bool = Field(False, description="steps with `inputs` get only these files of the source")
    reuse: bool = Field(False, description="steps may take results of any earlier run of the pipeline")
    watch: bool = Field(False, description="the run was started because a file was saved")
    breakpoints: list[RunBreakpoint] = Field(default_factory=list, description="where steps of the run are held")
    definition: dict[str, Any] | None = None
    status: dict[str, Any]


class RunList(ResponseModel):
    """One page of runs, newest first. A watch from `resourceVersion` misses nothing."""

    items: list[Run]
    continue_: str | None = Field(None, alias="continue")
    resource_version: str


class InputDifference(ResponseModel):
    """An input of a step that was added (`+`), removed (`-`) or changed (`~`), by its name."""

    kind: str = Field(
        description="file, source, image, commands, environment, parameter, matrix, secret, field (of the step) or "
        "upstream (a step that it depends on)"
    )
    name: str
    change: Literal["+", "-", "~"]


class StepReuse(ResponseModel):
    """Whether and why a step took the result of an earlier run."""

    step: str
    slug: str
    reused: bool
    compared_with: str | None = Field(description="the earlier run; null if there is none")
    reason: str = Field(description="a sentence")
    differences: list[InputDifference]
    more: int = Field(description="further differences, which are left out")
    problem: str | None = Field(description="why files could not be compared")


class StoredSource(ResponseModel):
    """A stored source."""

    digest: str
    size: int


class StepCommand(ResponseModel):
    """A command of a step that has started."""

    index: int = Field(description="index in the step's `commands`, from 0")
    text: str = Field(description="first line of the command, shortened")
    line: int = Field(description="number of the line that its output begins with")
    start_time: str | None
    end_time: str | None = Field(description="null while it runs")
    exit_code: int | None = Field(description="null while it runs")


class StepCommandList(ResponseModel):
    """The commands of an attempt of a step, first to last. Empty for a step with one command."""

    items: list[StepCommand]


class Artifact(ResponseModel):
    """One file that a step stored."""

    step: str
    path: str
    size: int
    sha256: str


class ArtifactList(ResponseModel):
    """The files of a run, by step; `continue` if there are more."""

    items: list[Artifact]
    continue_: str | None = Field(None, alias="continue")
