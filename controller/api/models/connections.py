"""Connections to repositories of forges, and their deliveries."""

from typing import Annotated, Any, Literal

from pydantic import Field

from controller.api.models.common import RequestModel, ResponseModel
from controller.run_types.patterns import (
    FILE_NAME_PATTERN,
    GIT_URL_PATTERN,
    MAX_GIT_URL_LENGTH,
    NAME_PATTERN,
    SUBDOMAIN_PATTERN,
)

Provider = Literal["github", "gitlab", "bitbucket", "bitbucket-server", "gitea"]
ForkPolicy = Literal["approve", "never", "always"]
StatusPolicy = Literal["run", "step", "off"]
PipelineName = Annotated[str, Field(pattern=NAME_PATTERN)]
SecretName = Annotated[str, Field(pattern=SUBDOMAIN_PATTERN, max_length=253)]
SecretValue = Annotated[str, Field(min_length=1, max_length=65_536)]


class Credentials(RequestModel):
    """What to clone and to report with; the keys are those of the Secret that it is stored in."""

    username: SecretValue | None = None
    password: SecretValue | None = None
    ssh_privatekey: SecretValue | None = Field(None, alias="ssh-privatekey")
    known_hosts: SecretValue | None = Field(None, alias="known_hosts")
    token: SecretValue | None = None
    app_id: SecretValue | None = Field(None, alias="app-id")
    private_key: SecretValue | None = Field(None, alias="private-key")
    installation_id: SecretValue | None = Field(None, alias="installation-id")

    def values(self) -> dict[str, str]:
        """The keys that are given, with their values."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ConnectionRequest(RequestModel):
    """A connection to create or replace.

    `webhookSecret` and `credentials` are stored in Secrets that steps of pipelines can't use. Without them, what is
    stored stays; a new connection without `webhookSecret` gets a random one, which the response has once.
    `pipelines` names PipelineConfigs; without any, the repository's own pipeline file runs.
    """

    repository: str = Field(
        pattern=GIT_URL_PATTERN, max_length=MAX_GIT_URL_LENGTH, examples=["https://github.com/org/project"]
    )
    provider: Provider
    api_url: str | None = Field(None, pattern=r"^https?://[^\s\x00-\x1f\x7f@]+$", max_length=MAX_GIT_URL_LENGTH)
    pipelines: list[PipelineName] = Field(default_factory=list, max_length=50)
    pipeline_file: str | None = Field(None, pattern=FILE_NAME_PATTERN, min_length=1, max_length=255)
    forks: ForkPolicy = "approve"
    statuses: StatusPolicy = "run"
    webhook_secret: SecretValue | None = None
    credentials: Credentials | None = Field(
        None,
        description="keys `username` and `password` (a token), or `ssh-privatekey` and `known_hosts`; `token` for "
        "statuses if that is another one",
    )


class DeliveryAnswer(ResponseModel):
    """A delivery, with the runs that it started and what became of them."""

    id: str
    time: str
    event: str
    about: str | None = None
    commit: str | None = None
    sender: str | None = None
    outcome: Literal["Started", "Ignored", "Refused"]
    reason: str | None = None
    replayed: str | None = Field(None, description="the user who had it handled again")
    runs: list["DeliveryRun"]


class DeliveryRun(ResponseModel):
    """A run that a delivery started."""

    name: str
    phase: str | None = Field(None, description="null if the run does not exist any more")
    reason: str | None = None
    message: str | None = None


class ConnectionAnswer(ResponseModel):
    """A connection. `webhookSecret` is there only in the response to the request that created it."""

    name: str
    repository: str
    provider: Provider
    api_url: str | None
    pipelines: list[str]
    pipeline_file: str | None
    forks: ForkPolicy
    statuses: StatusPolicy
    webhook_url: str | None
    ready: bool | None = Field(description="null as long as no receiver has looked at it")
    message: str | None
    deliveries: list[DeliveryAnswer]
    created_at: str | None
    webhook_secret: str | None = None


class ConnectionList(ResponseModel):
    """The connections of the namespace, by name."""

    items: list[ConnectionAnswer]


class PayloadRequest(RequestModel):
    """A delivery as a forge sends it: its headers, and its body as text. It is signed with the connection's secret."""

    headers: dict[Annotated[str, Field(max_length=200)], Annotated[str, Field(max_length=2000)]] = Field(
        max_length=100, examples=[{"X-GitHub-Event": "push"}]
    )
    body: str = Field(max_length=1_500_000)


class DeliveryOutcome(ResponseModel):
    """What came of a delivery."""

    outcome: Literal["Started", "Ignored", "Refused"]
    reason: str | None = None
    runs: list[str] = Field(default_factory=list)


def as_spec(body: ConnectionRequest, webhook_secret: str, auth_secret: str | None) -> dict[str, Any]:
    """The spec of a RepositoryConnection with these Secrets."""
    spec: dict[str, Any] = {
        "repository": body.repository,
        "provider": body.provider,
        "webhookSecretRef": {"name": webhook_secret},
        "forks": {"run": body.forks},
        "statuses": body.statuses,
    }
    if auth_secret is not None:
        spec["authSecretRef"] = {"name": auth_secret}
    if body.api_url is not None:
        spec["apiUrl"] = body.api_url
    if body.pipelines:
        spec["pipelines"] = [{"name": name} for name in dict.fromkeys(body.pipelines)]
    if body.pipeline_file is not None:
        spec["pipelineFile"] = body.pipeline_file
    return spec
