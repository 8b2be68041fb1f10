"""Lists the deliveries of all connections with what came of each, and explains one in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.client.connections import Connection, Delivery
from workbench.text.sanitize import sanitize_label

_MAX_REASON = 600


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery in the list. `state`: what its runs have come to, or why there is none, in a word."""

    delivery: Delivery

    @property
    def id(self) -> str:
        return f"{self.delivery.connection}/{self.delivery.id}/{self.delivery.time}"

    @property
    def state(self) -> str:
        """`Succeeded`, `Running` and so on of its run; `Ignored` or `Refused` without one."""
        phases = [run.phase for run in self.delivery.runs if run.phase is not None]
        if self.delivery.outcome != "Started" or not phases:
            return self.delivery.outcome
        waiting = any(run.reason == "ApprovalRequired" for run in self.delivery.runs)
        return "Waiting" if waiting else next((each for each in phases if each != "Succeeded"), "Succeeded")

    @property
    def run(self) -> str | None:
        """The name of the run to open: the first that exists."""
        return next((run.name for run in self.delivery.runs if run.phase is not None), None)


def delivery_rows(connections: Iterable[Connection]) -> tuple[DeliveryRow, ...]:
    """The deliveries of all connections, newest first."""
    found = [DeliveryRow(each) for connection in connections for each in connection.deliveries]
    return tuple(sorted(found, key=lambda row: row.delivery.time, reverse=True))


def summary(connections: Iterable[Connection]) -> str:
    """`2 connections, 1 is not ready: app: there is no Secret app-webhook`."""
    all_of_them = list(connections)
    if not all_of_them:
        return "No repository is connected; `c8s connect add URL` connects one."
    count = f"{len(all_of_them)} connection{'s' if len(all_of_them) != 1 else ''}"
    broken = [each for each in all_of_them if each.ready is False]
    if not broken:
        return f"{count}."
    verb = "is" if len(broken) == 1 else "are"
    first = f"{sanitize_label(broken[0].name, 60)}: {sanitize_label(broken[0].message or '', 200)}"
    return f"{count}, {len(broken)} {verb} not ready: {first}"


def explain(delivery: Delivery) -> str:
    """What the delivery was, what it started, and why it did not start what one may have expected."""
    about = sanitize_label(delivery.about or delivery.event, 120)
    commit = f" at {sanitize_label(delivery.commit, 64)[:12]}" if delivery.commit else ""
    lines = [f"{about}{commit}, to the connection {sanitize_label(delivery.connection, 63)}."]
    reason = sanitize_label(delivery.reason, _MAX_REASON)
    if delivery.outcome == "Started":
        lines += [f"Not everything ran: {reason}."] if reason else []
    else:
        verb = "It started nothing" if delivery.outcome == "Ignored" else "It was refused"
        lines.append(f"{verb}: {reason or 'no reason is known'}.")
    for run in delivery.runs:
        name = sanitize_label(run.name, 63)
        if run.phase is None:
            lines.append(f"The run {name} was deleted.")
        elif not run.message or run.message in delivery.reason:
            lines.append(f"The run {name}: {sanitize_label(run.phase, 20)}.")
        else:
            message = sanitize_label(run.message, _MAX_REASON)
            lines.append(f"The run {name}: {sanitize_label(run.phase, 20)}, {message}.")
    if delivery.replayed:
        lines.append(f"{sanitize_label(delivery.replayed, 60)} had it handled again.")
    return "\n".join(lines)
