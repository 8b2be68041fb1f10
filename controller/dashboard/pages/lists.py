"""Lists: namespaces, pipelines with the trend of their runs, and runs by the filters of the workbench."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from controller.api.auth.authenticator import AccessRequest
from controller.api.auth.permissions import GROUP
from controller.api.http.problems import ApiProblemError
from controller.api.routes.cluster import cluster
from controller.api.state import AppState, get_state
from controller.dashboard import rendering
from controller.dashboard.page_route import SIGNED_IN, PageRoute
from controller.dashboard.session import ROOT
from controller.dashboard.views.run_rows import pipeline_rows, select_runs
from controller.kube import PIPELINE_CONFIGS

router = APIRouter(prefix=ROOT, route_class=PageRoute, include_in_schema=False)


@router.get("/", operation_id=SIGNED_IN)
async def home(request: Request) -> Response:
    """The namespaces whose runs the user may list; the only one at once."""
    namespaces = json.loads(bytes((await cluster(request)).body))["namespaces"]
    if len(namespaces) == 1:
        return RedirectResponse(f"{ROOT}/namespaces/{namespaces[0]}/runs", 303)
    return rendering.render(request, "namespaces.html", namespaces=namespaces)


@router.get("", operation_id=SIGNED_IN)
async def home_without_slash(request: Request) -> Response:
    """The same page."""
    return RedirectResponse(f"{ROOT}/", 303)


@router.get("/namespaces/{ns}", operation_id="listRuns")
async def namespace(request: Request, ns: str) -> Response:
    """The runs of the namespace."""
    return RedirectResponse(f"{ROOT}/namespaces/{ns}/runs", 303)


@router.get("/namespaces/{ns}/pipelines", operation_id="listRuns")
async def pipelines(request: Request, ns: str) -> Response:
    """The pipelines that have runs, and those that are saved, if the user may list them."""
    state = get_state(request)
    access = AccessRequest("list", GROUP, "pipelineconfigs", namespace=ns)
    saved: list[str] = []
    if await state.authenticator.is_allowed(request.state.user, access):
        found = await state.client.list(PIPELINE_CONFIGS, namespace=ns)
        saved = [str(each["metadata"]["name"]) for each in found["items"]]
    require_synced(state)
    return rendering.render(request, "pipelines.html", rows=pipeline_rows(state.runs.list(ns), saved))


@router.get("/namespaces/{ns}/runs", operation_id="listRuns")
async def runs(
    request: Request,
    ns: str,
    filter: Annotated[str, Query(max_length=200)] = "",
    pipeline: Annotated[str, Query(max_length=63)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """The runs that the filter selects, newest first."""
    state = get_state(request)
    require_synced(state)
    found = select_runs(state.runs.list(ns), filter, pipeline or None, page, state.utc_now())

    def address(number: int) -> str:
        fields = {"filter": filter, "pipeline": pipeline, "page": number}
        return "?" + urlencode({name: value for name, value in fields.items() if value})

    return rendering.render(
        request, "runs.html", found=found, text=filter, pipeline=pipeline,
        previous=address(page - 1), following=address(page + 1),
    )  # fmt: skip


def require_synced(state: AppState) -> None:
    """Raises a problem while the runs have not been listed: a list would look empty."""
    if not state.watch_cache.is_synced:
        detail = "the controller has just started and is still reading the runs; load the page again"
        raise ApiProblemError("unavailable", detail, headers={"Retry-After": "1"})
