"""The shape of a RepositoryConnection as dictionaries, with the description of each field of its status."""

from __future__ import annotations

from typing import Annotated, Any, Required, TypedDict

from controller.run_types.objects import Condition, Int64, Schema, Timestamp

_KEY = Schema(required=True)


class Delivery(TypedDict, total=False):
    """One delivery of the forge, and what came of it."""

    id: Required[Annotated[str, _KEY, "The id that the forge gave it."]]
    time: Required[Annotated[Timestamp, "When it was received."]]
    event: Required[Annotated[str, "The event as the forge names it."]]
    about: Annotated[str, "What happened, such as `push to main`."]
    commit: Annotated[str, "The commit that the runs are for."]
    sender: Annotated[str, "The user who caused the event, as the forge names them."]
    outcome: Required[Annotated[str, "`Started`, `Ignored` or `Refused`."]]
    reason: Annotated[str, "Why no run, or not every pipeline, was started."]
    runs: Annotated[list[str], "The names of the runs."]
    replayed: Annotated[str, "The user who had the delivery handled again."]
    events: Annotated[list[dict[str, Any]], Schema(is_any=True), "What it said, to handle it again."]


class ConnectionStatus(TypedDict, total=False):
    """The status of a RepositoryConnection."""

    observedGeneration: Annotated[Int64, "Generation of the connection that the conditions are about."]
    webhookUrl: Annotated[str, "The URL to give to the forge."]
    conditions: Annotated[list[Condition], "The condition `Ready`: whether deliveries can be verified."]
    deliveries: Annotated[list[Delivery], "The last deliveries, newest first."]
