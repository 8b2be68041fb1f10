"""How a run is deleted, and which runs are deleted because they exceed the history limit.

The finalizer keeps a run until its processes have ended and its logs are stored. Both are limited in time, so that a
lost node does not keep a run for ever. Stored objects are not deleted with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.operator import names
from controller.operator.run_object import status_of
from controller.operator.workload.debug_copies import debug_source
from controller.run_types.phases import FINAL_RUN_PHASES

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]

DELETION_TIMEOUT = timedelta(seconds=90)
"""30 s until SIGKILL, 30 s for the ends of logs, and as much again for a slow cluster."""


def is_deleted(run: RunObject) -> bool:
    """Whether the run is being deleted."""
    return "deletionTimestamp" in run["metadata"]


def has_finalizer(run: RunObject) -> bool:
    """Whether the run has the operator's finalizer."""
    return labels.RUN_FINALIZER in (run["metadata"].get("finalizers") or [])


def deadline(run: RunObject) -> datetime:
    """When a run that is being deleted loses its finalizer, whatever its pods do."""
    return datetime.fromisoformat(run["metadata"]["deletionTimestamp"]) + DELETION_TIMEOUT


def mark_cancelled(run: RunObject) -> RunObject:
    """The run as it is reconciled while it is being deleted: as if it were cancelled."""
    return {**run, "spec": {**run["spec"], "cancel": True}}


def finalizers_patch(run: RunObject, *, hold: bool) -> list[Json]:
    """A JSON patch that adds or removes the finalizer, if the run still has its resourceVersion."""
    others = [name for name in run["metadata"].get("finalizers") or [] if name != labels.RUN_FINALIZER]
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": run["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/metadata/finalizers", "value": [*others, *([labels.RUN_FINALIZER] if hold else [])]},
    ]


def runs_over_limit(runs: Iterable[RunObject], limit: int) -> list[RunObject]:
    """The oldest ended runs of each pipeline, beyond the newest `limit`, and all ended debug copies.

    A client deletes its debug copy when it leaves it; these are the ones that were left behind. Runs whose steps an
    active run is going to reuse are not among them.
    """
    runs = list(runs)
    reused = _reused_runs(runs)
    ended: dict[tuple[str, str], list[RunObject]] = defaultdict(list)
    copies: list[RunObject] = []
    for run in runs:
        if status_of(run).get("phase") not in FINAL_RUN_PHASES or is_deleted(run):
            continue
        if debug_source(run) is not None:
            copies.append(run)
        else:
            pipeline = names.run_labels(run)[labels.PIPELINE]
            ended[run["metadata"]["namespace"], pipeline].append(run)
    found = copies
    for each in ended.values():
        each.sort(key=_creation_order)
        found += [run for run in each[: max(0, len(each) - limit)] if reused.isdisjoint(_references(run))]
    return found


def _reused_runs(runs: Iterable[RunObject]) -> set[tuple[str, str]]:
    """The references in `reuseFrom` of active runs."""
    found = set()
    for run in runs:
        if status_of(run).get("phase") not in FINAL_RUN_PHASES and (name := run["spec"].get("reuseFrom")):
            found.add((run["metadata"]["namespace"], run["spec"].get("reuseFromUid") or name))
    return found


def _references(run: RunObject) -> set[tuple[str, str]]:
    """How other runs refer to a run: by its uid, or by its name if they were created without the API."""
    metadata = run["metadata"]
    return {(metadata["namespace"], metadata["uid"]), (metadata["namespace"], metadata["name"])}


def _creation_order(run: RunObject) -> tuple[str, int, str]:
    number = (run["metadata"].get("labels") or {}).get(labels.RUN_NUMBER, "")
    created = str(run["metadata"].get("creationTimestamp", ""))
    return created, int(number) if number.isascii() and number.isdigit() else 0, run["metadata"]["name"]
