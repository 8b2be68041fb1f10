"""The pipeline format as types: the one definition that schema, CRDs and the operator are made from.

Fields are camelCase in files and snake_case here. Docstrings of fields become
the descriptions that editors show.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from controller.pipeline import duration

NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
VARIABLE_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"
MAX_STEPS = 300

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=63)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN, max_length=255)]
Duration = Annotated[str, StringConstraints(pattern=duration.PATTERN, max_length=12)]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$", max_length=20)]
Text = Annotated[str, StringConstraints(min_length=1)]


def _env(value: Any) -> Any:
    """The Kubernetes form `[{name, value}]` as a map."""
    if isinstance(value, list):
        return {entry["name"]: entry.get("value", "") for entry in value}
    return value


Environment = Annotated[dict[VariableName, str], BeforeValidator(_env)]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class Param(Model):
    name: VariableName
    """Steps get the value as PARAM_<NAME>."""
    default: str | None = None
    """Used when a run gives no value; without a default the run has to give one."""
    options: list[str] = Field(default=[], max_length=100)
    """The values that are allowed; none listed means any."""
    description: str = ""


class Matrix(Model):
    dimensions: dict[VariableName, Annotated[list[str], Field(min_length=1, max_length=100)]] = Field(min_length=1)
    """Names and their values: every combination becomes a step of its own."""
    exclude: list[dict[VariableName, str]] = []
    """Combinations to leave out; a part of one leaves out all that contain it."""


class RetryPolicy(Model):
    max_retries: Annotated[int, Field(ge=0, le=10)] = 0
    """Further attempts after a failure."""
    backoff_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    """Seconds before the next attempt."""


class Concurrency(Model):
    group: Text
    """Runs with the same group take turns. May use {{run.branch}}."""
    policy: Literal["queue", "cancel-running"] = "queue"


class SecretUse(Model):
    secret_ref: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
    """The Secret's name."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
    """The key in it."""
    env_var: VariableName | None = None
    """The variable that gets the value; by default the key."""
    file: str | None = None
    """A path below the workspace's secrets folder to write the value to, instead of a variable."""


class Resources(Model):
    cpu: Quantity | None = None
    """Such as 500m or 2. Request and limit."""
    memory: Quantity | None = None
    """Such as 512Mi or 2Gi. Request and limit."""


class Cache(Model):
    key: Text
    """May use {{hash FILE}}: another content, another cache."""
    paths: list[Text] = Field(min_length=1)


class Ready(Model):
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    exec: list[Text] | None = None


class Service(Model):
    name: Name
    image: Text
    commands: list[Text] = []
    env: Environment = {}
    ready: Ready | None = None
    """When it counts as started: a port that accepts, or a command that succeeds."""


class Conditional(Model):
    branch: Text | None = None
    """A glob: the step runs on branches that match."""
    event: Text | None = None
    """push, pull_request or tag."""
    tag: Text | None = None
    """A glob on the tag's name."""
    paths: list[Text] | None = None
    """Globs: the step runs when a changed file matches."""
    on_success: bool | None = None
    """false: run also after a failure; the same as when: always."""
    when: Literal["success", "failure", "always"] | None = None
    """Whether the steps it depends on have to succeed (the default), to fail, or just to end."""


class Step(Model):
    name: Name
    """Unique in the pipeline."""
    image: Text
    """The container image. An embedded sandbox runs the commands on this machine and ignores it."""
    commands: list[Text] = Field(min_length=1)
    """Run in one shell (sh -e), in order, up to the first that fails."""
    depends_on: list[str] = []
    """Steps that have to end before."""
    env: Environment = {}
    secrets: list[SecretUse] = []
    resources: Resources | None = None
    timeout: Duration = "30m"
    """From the start of the step's own container."""
    artifacts: list[Text] = []
    """Globs below the workspace: files to keep, and to hand to every step downstream."""
    cache: list[Cache] = []
    services: list[Service] = []
    conditional: Conditional | None = None
    matrix: Matrix | None = None
    """Expands this step only."""
    retry_policy: RetryPolicy | None = None
    allow_failure: bool = False
    """A failure of this step fails neither the run nor what depends on it."""
    working_dir: str | None = None
    """Below the workspace."""


class Pipeline(Model):
    version: Literal["v1alpha1"] = "v1alpha1"
    name: Name
    repository: str | None = None
    branches: list[Text] = ["*"]
    """Globs: pushes to other branches start no run."""
    events: list[Literal["push", "pull_request", "tag"]] = ["push"]
    paths: list[Text] | None = None
    """Globs: a run only when a changed file matches."""
    params: list[Param] = []
    env: Environment = {}
    """For every step."""
    matrix: Matrix | None = None
    """Expands every step."""
    timeout: Duration | None = None
    """For the whole run."""
    max_parallel: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    """Steps that run at once, at most."""
    retry_policy: RetryPolicy | None = None
    """For steps that have none of their own."""
    concurrency: Concurrency | None = None
    steps: list[Step] = Field(min_length=1, max_length=MAX_STEPS)
