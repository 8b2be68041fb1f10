"""A run: its page, the stream of what changes on it, and what users may do with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from controller.api.auth.authenticator import AccessRequest
from controller.api.auth.permissions import GROUP
from controller.api.http.problems import ApiProblemError
from controller.api.models.runs import ApprovalRequest, RerunRequest
from controller.api.routes import runs as calls
from controller.api.runs.find import find_run
from controller.api.state import get_state
from controller.dashboard import rendering
from controller.dashboard.live.run_feed import follow_run
from controller.dashboard.live.stream import event_response, reauthorization
from controller.dashboard.page_route import PageRoute
from controller.dashboard.pages.playback import PastLog, PastLogReader, Seconds, Slug
from controller.dashboard.session import ROOT
from controller.dashboard.views.graph_svg import draw_graph
from controller.dashboard.views.history import RunHistory
from controller.dashboard.views.run_rows import previous_run
from controller.dashboard.views.run_view import build_run

router = APIRouter(prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}", route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class Player:
    """What the controls of playing show: the moment (`at`, in seconds), the step whose log is shown, and its end."""

    history: RunHistory
    at: float
    step: str
    log: PastLog


_RIGHTS = {"cancel": ("update", ""), "rerun": ("create", ""), "approve": ("update", "approval")}


@router.get("", operation_id="getRun")
async def run_page(request: Request, ns: str, run: str, at: Seconds | None = None, step: Slug = "") -> Response:
    """The run: its graph, its steps with why they are as they are, and their times; or as it was at a second."""
    state = get_state(request)
    document = await find_run(state, ns, run)
    found = build_run(document, state.utc_now())
    history, outcome = RunHistory.of(document), found.row.phase
    tests = {name: sum(int((each.tests or {}).get(name, 0)) for each in found.steps) for name in ("total", "failed")}
    player = None
    if history is not None and at is not None:
        at = history.clamp(at)
        view = history.view(at)
        reader = await PastLogReader.of(request, ns, document, history)
        player = Player(history, at, step, await reader.read(view, at, step))
        found = replace(view, is_final=True)
    may = {}
    for action, (verb, subresource) in _RIGHTS.items():
        access = AccessRequest(verb, GROUP, "pipelineruns", subresource, namespace=ns, name=run)
        may[action] = await state.authenticator.is_allowed(request.state.user, access)
    before = previous_run(state.runs.list(ns), found.row)
    return rendering.render(
        request, "run.html", run=found, graph=draw_graph(found), may=may, before=before, player=player,
        can_play=history is not None, outcome=outcome, tests=tests,
    )  # fmt: skip


@router.get("/events", operation_id="watchRuns")
async def run_events(
    request: Request,
    ns: str,
    run: str,
    since: Annotated[str, Query(max_length=20)] = "",
    layout: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """What changes on the run's page of this layout, from this version of the run on."""
    state = get_state(request)
    feed = request.app.state.dashboard.feeds.of(ns, run)
    resumed = request.headers.get("last-event-id") or since
    await find_run(state, ns, run)
    return event_response(state, follow_run(state, feed, resumed, layout, reauthorization(request, "watchRuns")))


@router.post("/cancel", operation_id="cancelRun")
async def cancel(request: Request, ns: str, run: str) -> Response:
    """Requests cancellation."""
    await calls.cancel_run(request, ns, run)
    return _to_run(ns, run)


@router.post("/approve", operation_id="approveRun")
async def approve(request: Request, ns: str, run: str) -> Response:
    """Lets the run start, on the commit that the page showed."""
    try:
        body = ApprovalRequest(commit=request.state.form.get("commit", ""))
    except ValidationError:
        raise ApiProblemError("conflict", "the run does not name its commit, so that it can't be approved") from None
    await calls.approve_run(request, ns, run, body)
    return _to_run(ns, run)


@router.post("/rerun", operation_id="rerunRun")
async def rerun(request: Request, ns: str, run: str) -> Response:
    """Runs it again, or only what did not succeed; leads to the new run."""
    body = RerunRequest.model_validate({"fromFailed": request.state.form.get("only") == "failed"})
    answer = await calls.rerun_run(request, ns, run, body)
    return _to_run(ns, answer.headers["location"].rpartition("/")[2])


def _to_run(ns: str, run: str) -> Response:
    return RedirectResponse(f"{ROOT}/namespaces/{ns}/runs/{run}", 303)
