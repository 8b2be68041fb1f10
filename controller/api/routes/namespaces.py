"""The state of a namespace: components of the controller, queue, quota and pods; and the events of a run."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller import labels
from controller.api import serializers
from controller.api.auth.route import GuardedRoute
from controller.api.models import cluster as models
from controller.api.runs import pagination
from controller.api.runs.find import find_run
from controller.api.state import get_state
from controller.kube import EVENTS, PODS, RESOURCE_QUOTAS
from controller.kube.event_order import event_order
from controller.run_types.phases import RunPhase

WAITING_PHASES = frozenset({RunPhase.PENDING, RunPhase.QUEUED})

router = APIRouter(prefix="/api/v1/namespaces/{ns}", tags=["cluster"], route_class=GuardedRoute)


@router.get("/cluster", operation_id="namespaceCluster", response_model=models.NamespaceCluster)
async def namespace_cluster(request: Request, ns: str) -> Response:
    """The controller's components, the queued runs, the namespace's quota and the pods of its steps."""
    state = get_state(request)
    quotas = await state.client.list(RESOURCE_QUOTAS, namespace=ns)
    pods = await state.client.list(PODS, namespace=ns, label_selector=f"{labels.MANAGED_SELECTOR},{labels.RUN}")
    return JSONResponse(
        {
            "ready": state.readiness.components(),
            "queue": queue_status(state.runs.list(ns), state.wall_clock()),
            "quota": [limit for quota in quotas["items"] for limit in serializers.serialize_quota(quota)],
            "pods": sorted(
                (serializers.serialize_pod(each) for each in pods["items"]), key=lambda each: str(each["name"])
            ),
        }
    )


@router.get("/runs/{run}/events", operation_id="listRunEvents", response_model=models.RunEvents)
async def list_run_events(request: Request, ns: str, run: str) -> Response:
    """Events of the run, its Jobs and its pods, oldest first."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    pods = await state.client.list(PODS, namespace=ns, label_selector=f"{labels.RUN}={run}")
    about = related_objects(found) | {("Pod", each["metadata"]["name"]) for each in pods["items"]}
    events = await state.client.list(EVENTS, namespace=ns)
    return JSONResponse({"items": related_events(events["items"], about, str(found["metadata"].get("uid", "")))})


def queue_status(runs: Iterable[Mapping[str, Any]], now: float) -> dict[str, Any]:
    """The number of runs that wait to start, and the age of the oldest in seconds."""
    created = [
        pagination.parse_time(str(run["metadata"].get("creationTimestamp") or ""))
        for run in runs
        if serializers.phase_of(run) in WAITING_PHASES
    ]
    times = [each.timestamp() for each in created if each is not None]
    return {"depth": len(created), "oldestSeconds": max(0.0, round(now - min(times), 3)) if times else None}


def related_objects(run: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(kind, name) of the run, and of the Jobs and pods in its status."""
    found = {("PipelineRun", str(run["metadata"]["name"]))}
    for step in (run.get("status") or {}).get("steps") or ():
        for attempt in step.get("attempts") or ():
            for kind, field in (("Job", "jobName"), ("Pod", "podName")):
                if attempt.get(field):
                    found.add((kind, str(attempt[field])))
    return found


def related_events(events: Iterable[Mapping[str, Any]], about: set[tuple[str, str]], uid: str) -> list[dict[str, Any]]:
    """The events about these objects, oldest first; events of another run of the same name are left out, by uid."""
    found = []
    for event in events:
        involved = event.get("involvedObject") or {}
        if (involved.get("kind"), involved.get("name")) not in about:
            continue
        if involved.get("kind") == "PipelineRun" and involved.get("uid") not in (None, "", uid):
            continue
        found.append(event)
    return [serializers.serialize_event(event) for event in sorted(found, key=event_order)]
