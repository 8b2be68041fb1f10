"""The namespace's state, the deliveries of forges to it, and the comparison of two of its runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from controller.api.auth.authorize import require_permission
from controller.api.auth.paths import check_path
from controller.api.connections.serialize import serialize_connection
from controller.api.routes.namespaces import namespace_cluster
from controller.api.runs.find import find_run
from controller.api.runs.pagination import parse_time
from controller.api.state import get_state
from controller.dashboard import rendering
from controller.dashboard.page_route import PageRoute
from controller.dashboard.session import ROOT
from controller.dashboard.views.run_view import RunView, StepView, build_run
from controller.kube import REPOSITORY_CONNECTIONS

_EARLIEST = datetime.min.replace(tzinfo=UTC)
RunName = Annotated[str, Query(max_length=63)]

router = APIRouter(prefix=f"{ROOT}/namespaces/{{ns}}", route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class StepPair:
    """A step of one or both of two runs."""

    name: str
    left: StepView | None
    right: StepView | None

    @property
    def differs(self) -> bool:
        return self.left is None or self.right is None or self.left.phase != self.right.phase

    @property
    def slower_by(self) -> float | None:
        """By how many seconds it took longer in the right run."""
        if self.left is None or self.right is None or self.left.seconds is None or self.right.seconds is None:
            return None
        return self.right.seconds - self.left.seconds


@router.get("/cluster", operation_id="namespaceCluster")
async def cluster_page(request: Request, ns: str) -> Response:
    """The controller's components, the queue, quotas and pods."""
    found = json.loads(bytes((await namespace_cluster(request, ns)).body))
    found["pods"].sort(key=lambda pod: pod["phase"] in ("Succeeded", "Failed"))
    return rendering.render(request, "cluster.html", found=found)


@router.get("/deliveries", operation_id="listConnections")
async def deliveries_page(request: Request, ns: str) -> Response:
    """What forges delivered, and what came of it, newest first."""
    state = get_state(request)
    listed = await state.client.list(REPOSITORY_CONNECTIONS, namespace=ns)
    connections = [serialize_connection(each, state.runs) for each in listed["items"]]
    rows = [
        (each["name"], {**delivery, "time": parse_time(str(delivery.get("time") or ""))})
        for each in connections
        for delivery in each["deliveries"]
    ]
    rows.sort(key=lambda row: row[1]["time"] or _EARLIEST, reverse=True)
    return rendering.render(request, "deliveries.html", connections=connections, rows=rows)


@router.get("/compare", operation_id="listRuns")
async def compare_page(request: Request, ns: str, left: RunName, right: RunName) -> Response:
    """Two runs side by side: phases and durations of their steps."""
    views = []
    for name in (left, right):
        check_path({"run": name})
        await require_permission(request, "get", "pipelineruns", ns, name=name)
        state = get_state(request)
        views.append(build_run(await find_run(state, ns, name), state.utc_now()))
    return rendering.render(request, "compare.html", left=views[0], right=views[1], pairs=pair_steps(*views))


def pair_steps(left: RunView, right: RunView) -> list[StepPair]:
    """The steps of both runs by name: in the order of the right run, then those only in the left one."""
    before, after = ({step.name: step for step in run.steps} for run in (left, right))
    return [StepPair(name, before.get(name), after.get(name)) for name in dict.fromkeys([*after, *before])]
