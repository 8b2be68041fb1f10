"""The cluster and its namespaces: health, quota, pods, events, secrets and tickets."""

from typing import Literal

from pydantic import Field

from controller.api.models.common import RequestModel, ResponseModel


class ClusterAnswer(ResponseModel):
    """The cluster that runs execute on: the Nodes' runtime, whether images are used, the server's version."""

    runtime: str | None
    images: Literal["used", "ignored"]
    version: str | None
    namespaces: list[str]


class Waiting(ResponseModel):
    """A component that is not ready."""

    part: str
    why: str


class ReadyAnswer(ResponseModel):
    """Whether the process can serve, and which components it waits for."""

    ready: bool
    parts: list[str]
    waiting_for: list[Waiting]


class Part(ResponseModel):
    """A component of the controller; `message` says what it waits for."""

    name: str
    ready: bool
    message: str | None


class Queue(ResponseModel):
    """The number of runs that wait to start, and the age of the oldest."""

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
    """The state of a namespace."""

    ready: list[Part]
    queue: Queue
    quota: list[QuotaAnswer]
    pods: list[PodAnswer]


class EventObject(ResponseModel):
    """The object of an event."""

    kind: str
    name: str


class RunEvent(ResponseModel):
    """An event that Kubernetes or the controller recorded for a run, one of its Jobs or its pods."""

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


class SecretKeys(ResponseModel):
    """A secret's name and keys; values are never returned."""

    name: str
    keys: list[str]


class StoredSecret(SecretKeys):
    """A secret that was set, and which of the values that were sent are hard to mask in logs."""

    warnings: list[str]


class SecretList(ResponseModel):
    """The secrets that were set through this API."""

    items: list[SecretKeys]


class SecretRequest(RequestModel):
    """Values to set; other keys keep theirs."""

    data: dict[str, str] = Field(min_length=1, max_length=100)


class TicketRequest(RequestModel):
    """The path of the WebSocket to open, without host and query; `/ui/enter` signs a browser in at the dashboard."""

    path: str = Field(
        max_length=1000,
        pattern=r"^(/api/v1/namespaces/[^?#]+|/ui/enter)$",
        examples=["/api/v1/namespaces/default/runs/hello-1/logs/stream"],
    )


class Ticket(ResponseModel):
    """Opens that path once, as `?ticket=`, until it expires."""

    ticket: str
    expires_at: str
