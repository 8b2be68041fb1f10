"""The finalizer of a run: from its first reconcile until its processes have ended and its logs are stored.

It is added together with a count of the processes that began to prepare the run, so that a run that ends the operator
is recognized. The count is increased by processes only: one that tries again after a failed request counts once. From
the first status on it means nothing.

The time that a deleted run is kept is limited, so that a lost node does not keep it for ever. Stored objects are not
deleted with it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.operator.run_object import status_of

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]

DELETION_TIMEOUT = timedelta(seconds=90)
"""After that a run that is being deleted loses its finalizer, whatever its pods do.

30 s until SIGKILL, 30 s for the ends of logs, and as much again for a slow cluster."""

ISOLATED_LOAD_ATTEMPTS = 5
"""After so many processes that ended while they prepared a run, it is prepared in a process of its own.

The run need not be the cause: all runs that have not started are being prepared when an operator ends. In a process of
its own, a run ends that process and no other, and gets that as its reason.
"""
MAX_LOAD_ATTEMPTS = 25
"""After so many, the run fails, in case what ends the operator comes after that."""


def is_deleted(run: RunObject) -> bool:
    """Whether the run is being deleted."""
    return "deletionTimestamp" in run["metadata"]


def has_finalizer(run: RunObject) -> bool:
    """Whether the run has the operator's finalizer."""
    return labels.RUN_FINALIZER in (run["metadata"].get("finalizers") or [])


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


def _recorded(run: RunObject) -> tuple[int, str]:
    """The number of processes, and the identity of the last."""
    count, _, process = str((run["metadata"].get("annotations") or {}).get(labels.LOAD_ATTEMPTS, "")).partition(" ")
    return (int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 0), process


def needs_mark(run: RunObject, process: str) -> bool:
    """Whether this process has to be recorded before it prepares the run."""
    if is_deleted(run):
        return False
    is_started = bool(status_of(run).get("phase"))
    return not has_finalizer(run) or (not is_started and _recorded(run)[1] != process)


def needs_isolation(run: RunObject) -> bool:
    """Whether so many processes ended while they prepared the run that the next one must not do that itself."""
    return not status_of(run).get("phase") and _recorded(run)[0] > ISOLATED_LOAD_ATTEMPTS


def is_exhausted(run: RunObject, process: str) -> bool:
    """Whether too many processes ended while they prepared the run."""
    count, last = _recorded(run)
    return not status_of(run).get("phase") and count >= MAX_LOAD_ATTEMPTS and last != process


def mark_patch(run: RunObject, process: str) -> list[Json]:
    """A JSON patch that records this process and adds the finalizer."""
    mark = f"{_recorded(run)[0] + 1} {process}"
    if run["metadata"].get("annotations"):
        change: Json = {
            "op": "add",
            "path": f"/metadata/annotations/{labels.LOAD_ATTEMPTS.replace('/', '~1')}",
            "value": mark,
        }
    else:
        change = {"op": "add", "path": "/metadata/annotations", "value": {labels.LOAD_ATTEMPTS: mark}}
    return [*finalizers_patch(run, hold=True), change]
