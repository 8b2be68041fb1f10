"""Access to runs as the Kubernetes API returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus

_NO_STATUS: Any = {}


def as_run(obj: dict[str, Any]) -> RunObject:
    """An object from the Kubernetes API as a run; the schema of the custom resource guarantees its shape."""
    return cast("RunObject", obj)


def status_of(run: RunObject) -> RunStatus:
    """The status of a run; empty before the first write of the operator."""
    return run.get("status") or cast("RunStatus", _NO_STATUS)


def is_from_fork(run: RunObject) -> bool:
    """Whether the run is of a pull request from a fork: what it runs is written by strangers."""
    return bool((run["spec"].get("trigger") or {}).get("fork"))
