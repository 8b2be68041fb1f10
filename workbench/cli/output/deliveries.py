"""Prints what came of a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.cli.output.console import echo, echo_error
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.client.connections import DeliveryOutcome


def print_outcome(outcome: DeliveryOutcome, what: str) -> int:
    """Print the names of the runs, or why there are none; the exit code: 1 for no run."""
    for run in outcome.runs:
        echo(sanitize_line(run, colour=False))
    if outcome.reason:
        echo_error(f"{what}: {outcome.reason}")
    if not outcome.runs:
        echo_error(f"{what} started no run")
    return 0 if outcome.runs else 1
