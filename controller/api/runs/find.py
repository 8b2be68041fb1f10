"""Finds runs: by the name in a request, or again by the uid that a reference to a run has."""

from collections.abc import Mapping
from typing import Any

from controller.api.http.problems import ApiProblemError
from controller.api.state import AppState
from controller.kube import PIPELINE_RUNS, NotFoundError
from controller.run_types.summary import is_summary


async def find_run(state: AppState, namespace: str, name: str) -> Mapping[str, Any]:
    """The run from the cache, or from Kubernetes: one that has ended, or that the cache may not know yet.

    Raises a problem 404 if it does not exist.
    """
    cached = state.runs.get(namespace, name)
    if cached is not None and not is_summary(cached):
        return cached
    try:
        return await state.client.get(PIPELINE_RUNS, name, namespace=namespace)
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no run {name} in the namespace {namespace}") from None


async def reread_run(state: AppState, run: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latest version of this very run, from Kubernetes. Raises a problem 404 if it does not exist any more."""
    meta = run["metadata"]
    return await find_run_by_uid(state, str(meta["namespace"]), str(meta["name"]), str(meta["uid"]))


async def find_run_by_uid(state: AppState, namespace: str, name: str, uid: str) -> Mapping[str, Any]:
    """The run with this uid, from Kubernetes. Raises a problem 404 if it does not exist, or another has its name."""
    try:
        found = await state.client.get(PIPELINE_RUNS, name, namespace=namespace)
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no run {name} in the namespace {namespace}") from None
    if found["metadata"]["uid"] != uid:
        raise ApiProblemError(
            "not-found",
            f"the run {name} in the namespace {namespace} is not the one that was meant: that one, with the uid "
            f"{uid}, was deleted, and another run has its name now",
        )
    return found
