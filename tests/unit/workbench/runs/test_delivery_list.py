"""What the list of deliveries says of each, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.client.connections import Connection, Delivery, DeliveryRun
from workbench.runs.delivery_list import DeliveryRow, delivery_rows, explain, summary

DELIVERY = Delivery("app", "d1", "2026-11-29T10:00:00Z", "push", "Started", "push to main", "a" * 40)


def connection(name: str, *deliveries: Delivery, ready: bool | None = True, message: str = "") -> Connection:
    return Connection(
        name, "https://x/y", "gitea", "approve", "run", ready=ready, message=message, deliveries=deliveries
    )


@pytest.mark.parametrize(
    ("outcome", "runs", "state"),
    [
        ("Ignored", (), "Ignored"),
        ("Refused", (DeliveryRun("a", "Failed"),), "Refused"),
        ("Started", (DeliveryRun("a", "Succeeded"), DeliveryRun("b", "Running")), "Running"),
        ("Started", (DeliveryRun("a", "Succeeded"), DeliveryRun("b", "Succeeded")), "Succeeded"),
        ("Started", (DeliveryRun("a", "Queued", "ApprovalRequired"),), "Waiting"),
        ("Started", (DeliveryRun("a", None),), "Started"),
    ],
)
def test_the_state_is_that_of_the_runs(outcome: str, runs: tuple[DeliveryRun, ...], state: str) -> None:
    row = DeliveryRow(replace(DELIVERY, outcome=outcome, runs=runs))
    assert row.state == state
    assert row.run == next((run.name for run in runs if run.phase), None)


def test_the_newest_of_all_connections_is_first() -> None:
    later = replace(DELIVERY, connection="other", time="2026-11-29T11:00:00Z")
    rows = delivery_rows([connection("app", DELIVERY), connection("other", later)])
    assert [row.delivery.connection for row in rows] == ["other", "app"]
    assert len({row.id for row in rows}) == 2


def test_connections_that_are_not_ready_are_named() -> None:
    assert summary([]).startswith("No repository is connected")
    assert summary([connection("a"), connection("b", ready=None)]) == "2 connections."
    broken = connection("c", ready=False, message="there is no Secret c-webhook")
    assert summary([connection("a"), broken]) == "2 connections, 1 is not ready: c: there is no Secret c-webhook"


def test_the_explanation_says_each_thing_once() -> None:
    said = "the branch topic matches none of: main"
    run = DeliveryRun("a-1", "Cancelled", "NotTriggered", said)
    text = explain(replace(DELIVERY, outcome="Ignored", reason=said, runs=(run,)))
    assert text.count(said) == 1
    assert text.splitlines()[1:] == [f"It started nothing: {said}.", "The run a-1: Cancelled."]
    partly = explain(replace(DELIVERY, reason="there is no PipelineConfig x", runs=(DeliveryRun("a-1", None),)))
    assert partly.splitlines()[1:] == ["Not everything ran: there is no PipelineConfig x.", "The run a-1 was deleted."]
    assert explain(replace(DELIVERY, replayed="ann")).endswith("ann had it handled again.")
