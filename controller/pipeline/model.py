"""The pipeline format as pydantic models, the source of the JSON Schema and the CRDs.

Fields are camelCase in files and snake_case here. Docstrings of fields are the descriptions that editors show. Checks
that a schema can't express are in `lint/rules`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from controller.pipeline import normalize
from controller.pipeline.values import duration, quantity
from controller.run_types.patterns import MAX_PARAM_VALUE_LENGTH, MAX_PARAMS, MAX_PRESTART

NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
PARAM_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"
VARIABLE_PATTERN = "^[-._A-Za-z][-._A-Za-z0-9]{0,252}$"
"""Names of environment variables in Kubernetes. The length is part of the pattern, because maps have no other limit."""
DIMENSION_PATTERN = "^[A-Za-z0-9_][-A-Za-z0-9_.]{0,62}$"
MAX_STEPS = 300
MAX_VARIABLES = 1000
"""Maximum number of variables in one `env`."""
MAX_COMMANDS = 1000
"""Maximum number of commands of a step or service."""
MAX_LIST_ENTRIES = 100
"""Maximum number of entries of the other lists of a step: artifacts, caches, services, secrets, arguments."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=63)]
Dependency = Annotated[str, StringConstraints(max_length=253)]
StepName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=253)]
# The name of its container is `svc-<name>`, with at most 63 characters.
ServiceName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=59)]
ParamName = Annotated[str, StringConstraints(pattern=PARAM_PATTERN, max_length=63)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN, max_length=253)]
Dimension = Annotated[str, StringConstraints(pattern=DIMENSION_PATTERN)]
DimensionValue = Annotated[str, StringConstraints(max_length=253)]
Duration = Annotated[str, StringConstraints(pattern=duration.PATTERN, max_length=12)]
Quantity = Annotated[str, StringConstraints(pattern=quantity.PATTERN, max_length=20)]
Text = Annotated[str, StringConstraints(min_length=1)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Globs = Annotated[list[Glob], Field(max_length=100)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A text that is a name: of an image, a file or folder, a group, an argument."""
ParamValue = Annotated[str, StringConstraints(max_length=MAX_PARAM_VALUE_LENGTH)]
# Linux takes no longer variable.
EnvValue = Annotated[str, StringConstraints(max_length=128 * 1024 - 1)]
Environment = Annotated[
    dict[VariableName, EnvValue], Field(max_length=MAX_VARIABLES), BeforeValidator(normalize.normalize_env)
]
Description = Annotated[str, StringConstraints(max_length=4000)]
Command = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
Shell = Literal["sh", "bash"]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_extensions(cls, value: Any) -> Any:
        return normalize.drop_extensions(value)


class Param(Model):
    name: ParamName
    """Steps get the value as PARAM_<NAME>."""
    default: ParamValue | None = None
    """Used when a run gives no value; without a default the run has to give one."""
    options: list[ParamValue] = Field(default=[], max_length=100)
    """The values that are allowed; none listed means any."""
    description: Description = ""
    """What it is for, shown to who starts a run."""


class Matrix(Model):
    dimensions: dict[Dimension, Annotated[list[DimensionValue], Field(min_length=1, max_length=300)]] = Field(
        min_length=1, max_length=16
    )
    """Names and their values: every combination becomes a step of its own."""
    exclude: list[Annotated[dict[Dimension, DimensionValue], Field(max_length=16)]] = Field(default=[], max_length=1000)
    """Combinations to leave out; a part of one leaves out all that contain it."""

    @model_validator(mode="before")
    @classmethod
    def _either_form(cls, value: Any) -> Any:
        return normalize.normalize_matrix(value)


class RetryPolicy(Model):
    max_retries: Annotated[int, Field(ge=0, le=10)] = 0
    """Further attempts after a failure."""
    backoff_seconds: Annotated[int, Field(ge=0, le=duration.MAX_SECONDS)] = 10
    """Seconds before the next attempt."""


class Concurrency(Model):
    group: Word
    """Runs with the same group take turns. May use {{run.branch}} and {{params.x}}."""
    policy: Literal["queue", "cancel-running"] = "queue"
    """queue: a run waits for the one before it. cancel-running: it cancels the one before it."""


class SecretUse(Model):
    secret_ref: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
    """The Secret's name."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
    """The key in it."""
    env_var: VariableName | None = None
    """The variable that gets the value; by default the key."""
    file: Word | None = None
    """Instead of a variable: the file below $C8S_SECRETS that holds the value."""


class SecretProviderUse(Model):
    provider_class: Annotated[
        str, Field(alias="class"), StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    ]
    """The name of the SecretProviderClass. Its files are in $C8S_SECRET_PROVIDERS, in the folder of this name."""
    secret: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
    """The Secret that the class makes of what it mounts (`secretObjects`): its values are masked in logs."""


class Resources(Model):
    cpu: Quantity | None = None
    """Cores, such as 500m or 2. Request and limit."""
    memory: Quantity | None = None
    """Bytes, such as 512Mi or 2Gi. Request and limit."""


class Cache(Model):
    key: Word
    """May use {{hash FILE}}: another content, another cache."""
    paths: list[Word] = Field(min_length=1, max_length=MAX_LIST_ENTRIES)
    """Files and folders below the workspace to keep."""


class Reports(Model):
    junit: Globs = []
    """Globs below the workspace: JUnit XML, as pytest, Maven, Gradle, Jest and many others write it."""
    tap: Globs = []
    """Globs below the workspace: the Test Anything Protocol, versions 12 to 14."""
    gotest: Globs = []
    """Globs below the workspace: the output of `go test -json`."""

    def by_format(self) -> dict[str, list[str]]:
        """The globs of each format that has any."""
        found = {"junit": self.junit, "tap": self.tap, "gotest": self.gotest}
        return {name: list(globs) for name, globs in found.items() if globs}


class Ready(Model):
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Ready when this port accepts connections."""
    exec: Annotated[list[Word], Field(max_length=MAX_LIST_ENTRIES)] | None = None
    """Ready when this command, a list of words, succeeds."""


class Service(Model):
    name: ServiceName
    """Unique in the step."""
    image: Word
    """The container image."""
    commands: list[Text] = Field(default=[], max_length=MAX_COMMANDS)
    """Run instead of what the image runs by itself. An embedded sandbox needs them."""
    env: Environment = {}
    """Variables of the service."""
    ready: Ready | None = None
    """When it counts as started, and the step begins."""


class Conditional(Model):
    branch: Glob | None = None
    """A glob: the step runs on branches that match."""
    event: Word | None = None
    """push, pull_request or tag."""
    tag: Glob | None = None
    """A glob on the tag's name."""
    paths: Globs | None = None
    """Globs: the step runs when a changed file matches."""
    on_success: bool | None = None
    """false: run also after a failure; the same as when: always."""
    when: Literal["success", "failure", "always"] | None = None
    """Whether the steps it depends on have to succeed (the default), to fail, or just to end."""

    def fields(self) -> dict[str, Any]:
        """The fields that are set, as the format names them."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Step(Model):
    name: StepName
    """Unique in the pipeline."""
    image: Word
    """The container image. An embedded sandbox runs the commands on this machine and ignores it."""
    commands: list[Text] = Field(min_length=1, max_length=MAX_COMMANDS)
    """Run in one shell (sh -e), in order, up to the first that fails. Values of a matrix are filled in."""
    shell: Shell | None = None
    """The shell that runs the commands: sh -e, or bash -e -o pipefail. By default as the pipeline says."""
    depends_on: list[Dependency] = Field(default=[], max_length=MAX_STEPS)
    """Steps that have to end before."""
    env: Environment = {}
    """Variables of this step."""
    secrets: list[SecretUse] = Field(default=[], max_length=MAX_LIST_ENTRIES)
    """Values of Secrets, as variables or files. They are written as *** in logs."""
    secret_providers: list[SecretProviderUse] = Field(default=[], max_length=10)
    """SecretProviderClasses of the Secrets Store CSI driver whose files the step mounts, from Vault for example."""
    resources: Resources | None = None
    """What the step may use, and is given."""
    timeout: Duration = "30m"
    """From the start of the step's own container: a number and s, m or h."""
    artifacts: list[Glob] = Field(default=[], max_length=MAX_LIST_ENTRIES)
    """Globs below the workspace: files to keep, and to hand to every step downstream."""
    optional_artifacts: list[Glob] = Field(default=[], max_length=MAX_LIST_ENTRIES)
    """Like `artifacts`, but a glob may match nothing. The normalized form of artifacts with `optional: true`."""
    inputs: list[Glob] | None = Field(default=None, max_length=MAX_LIST_ENTRIES)
    """Globs: the files of the source that the step reads; `!` in front leaves files out, and the last glob that matches
    a file decides. Its result can be reused while these are unchanged. By default all files, except the pipeline's."""
    reports: Reports | None = None
    """Results of tests that the commands write: shown by test. They are read also when the step fails."""
    rerun_failed: Command | None = None
    """Run instead of the commands when only the tests that failed are run again. $C8S_FAILED_TESTS names a file with
    one of them in each line."""
    cache: list[Cache] = Field(default=[], max_length=MAX_LIST_ENTRIES)
    """Folders that are kept from run to run."""
    services: list[Service] = Field(default=[], max_length=MAX_LIST_ENTRIES)
    """Programs that run beside the step, such as a database."""
    conditional: Conditional | None = None
    """When the step runs and when it is skipped."""
    matrix: Matrix | None = None
    """Expands this step only."""
    retry_policy: RetryPolicy | None = None
    """How often the step is tried again."""
    allow_failure: bool = False
    """A failure of this step fails neither the run nor what depends on it."""
    keep_on_failure: bool | None = None
    """Keep the workspace of an attempt that fails, for `c8s shell RUN STEP`. By default as the pipeline says."""
    working_dir: Annotated[str, StringConstraints(max_length=1000)] | None = None
    """The folder below the workspace in which the commands begin."""
    description: Description = ""
    """What the step is for."""

    git: Literal["full"] | None = None
    """`full`: the workspace has the repository's `.git`, with its history and tags. Without it there is no `.git`."""

    @property
    def report_globs(self) -> dict[str, list[str]]:
        """The globs of the reports of tests by their format; empty for a step without any."""
        return self.reports.by_format() if self.reports is not None else {}

    @property
    def has_artifacts(self) -> bool:
        """Whether the step stores artifacts, which may turn out to be none if all are optional."""
        return bool(self.artifacts or self.optional_artifacts)


class Pipeline(Model):
    version: Literal["v1alpha1"] = "v1alpha1"
    """The version of the format."""
    name: Name
    """Runs are called after it: my-app-1, my-app-2."""
    description: Description = ""
    """What the pipeline is for."""
    repository: Annotated[str, StringConstraints(max_length=2048)] | None = None
    """The URL of the repository; not needed in a file that lives in it."""
    branches: Globs = ["*"]
    """Globs: pushes to other branches start no run."""
    events: Annotated[list[Literal["push", "pull_request", "tag"]], Field(max_length=10)] = ["push"]
    """What starts a run."""
    paths: Globs | None = None
    """Globs: a run only when a changed file matches."""
    params: list[Param] = Field(default=[], max_length=MAX_PARAMS)
    """Values that who starts a run may choose."""
    env: Environment = {}
    """Variables of every step."""
    shell: Shell = "sh"
    """For steps that don't name one: sh -e, or bash -e -o pipefail. Services always use sh."""
    matrix: Matrix | None = None
    """Expands every step."""
    timeout: Duration | None = None
    """For the whole run: a number and s, m or h."""
    max_parallel: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    """Steps that run at once, at most."""
    prestart: Annotated[int, Field(ge=0, le=MAX_PRESTART)] | None = None
    """Pods of a run that may be made ahead, while the steps that theirs depend on run. By default as the controller is
    set; 0 for none."""
    queue: Name | None = None
    """The queue of the cluster (a LocalQueue of Kueue) that admits the Jobs of its steps. By default as the namespace
    or the controller says."""
    retry_policy: RetryPolicy | None = None
    """For steps that have none of their own."""
    keep_on_failure: bool = False
    """For steps that don't say themselves whether the workspace of a failed attempt is kept."""
    concurrency: Concurrency | None = None
    """Runs that must not run side by side."""
    reuse: bool = False
    """Steps whose inputs are those of a step that succeeded in an earlier run of the pipeline take its result; also in
    runs that events start. `c8s run --reuse` and `--no-reuse` say otherwise for one run."""
    steps: list[Step] = Field(min_length=1, max_length=MAX_STEPS)
    """What is done. Steps run side by side unless they depend on each other."""
