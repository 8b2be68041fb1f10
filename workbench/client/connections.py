"""Connections to forges and their deliveries, as the REST API returns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DeliveryRun:
    """A run that a delivery started; `phase` is None if it does not exist any more."""

    name: str
    phase: str | None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Delivery:
    """One delivery of a forge, and what came of it: `Started`, `Ignored` or `Refused`."""

    connection: str
    id: str
    time: str
    event: str
    outcome: str
    about: str = ""
    commit: str = ""
    reason: str = ""
    replayed: str = ""
    runs: tuple[DeliveryRun, ...] = ()

    def explain(self) -> str:
        """Why there is no run, or what became of the runs, in one sentence."""
        parts = [self.reason] if self.reason else []
        for run in self.runs:
            if run.phase is None:
                parts.append(f"{run.name} was deleted")
            else:
                is_said = not run.message or run.message in self.reason
                parts.append(f"{run.name}: {run.phase}" + ("" if is_said else f", {run.message}"))
        return "; ".join(parts)


@dataclass(frozen=True)
class Connection:
    """A connection to a repository. `secret` is known only right after it was created."""

    name: str
    repository: str
    provider: str
    forks: str
    statuses: str
    pipelines: tuple[str, ...] = ()
    pipeline_file: str | None = None
    api_url: str | None = None
    webhook_url: str | None = None
    ready: bool | None = None
    message: str | None = None
    secret: str | None = None
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True)
class DeliveryOutcome:
    """What came of a delivery that was handled for the user."""

    outcome: str
    reason: str
    runs: tuple[str, ...]


def decode_connection(data: Mapping[str, Any]) -> Connection:
    """A `ConnectionAnswer`."""
    name = str(data.get("name", ""))
    return Connection(
        name=name,
        repository=str(data.get("repository", "")),
        provider=str(data.get("provider", "")),
        forks=str(data.get("forks") or ""),
        statuses=str(data.get("statuses") or ""),
        pipelines=tuple(str(each) for each in data.get("pipelines") or ()),
        pipeline_file=data.get("pipelineFile"),
        api_url=data.get("apiUrl"),
        webhook_url=data.get("webhookUrl"),
        ready=data.get("ready"),
        message=data.get("message"),
        secret=data.get("webhookSecret"),
        deliveries=tuple(_decode_delivery(name, each) for each in data.get("deliveries") or ()),
    )


def _decode_delivery(connection: str, data: Mapping[str, Any]) -> Delivery:
    runs = tuple(
        DeliveryRun(str(run.get("name", "")), run.get("phase"), run.get("reason"), run.get("message"))
        for run in data.get("runs") or ()
    )
    texts = {name: str(data.get(name) or "") for name in ("id", "time", "event", "outcome", "about", "commit")}
    return Delivery(
        connection, **texts, reason=str(data.get("reason") or ""), replayed=str(data.get("replayed") or ""), runs=runs
    )


def decode_outcome(data: Mapping[str, Any]) -> DeliveryOutcome:
    """A `DeliveryOutcome` of the API."""
    runs = tuple(str(each) for each in data.get("runs") or ())
    return DeliveryOutcome(str(data.get("outcome") or ""), str(data.get("reason") or ""), runs)
