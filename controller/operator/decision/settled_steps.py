"""Finds steps that need no further observation, so that reconciling a large run costs only its active steps."""

from __future__ import annotations

from typing import Any

from controller.operator.decision.attempts import awaiting_workspace
from controller.operator.decision.observation import AttemptView, Observation
from controller.run_types.phases import FINAL_STEP_PHASES

Json = dict[str, Any]


def find_settled_steps(status: Json, observed: Observation) -> frozenset[str]:
    """The slugs of ended steps whose pods and logs can show nothing new.

    Args:
        status: as decided from `observed`.
    """
    views: dict[str, list[AttemptView]] = {}
    for (slug, _), view in observed.attempts.items():
        views.setdefault(slug, []).append(view)
    found = set(observed.settled_steps)
    for entry in status.get("steps") or []:
        # The manifest of the clone step is read from its view until the run's status has the source.
        if entry["phase"] not in FINAL_STEP_PHASES or entry["slug"] in found or entry["name"] == observed.source_step:
            continue
        seen = views.get(entry["slug"], [])
        tried = entry.get("attempts") or []
        if len(seen) != len(tried) or not all(view.is_complete for view in seen):
            continue
        views_of = (observed.view(entry["slug"], each["number"]) for each in tried)
        if not any(map(awaiting_workspace, tried, views_of)):
            found.add(entry["slug"])
    return frozenset(found)
