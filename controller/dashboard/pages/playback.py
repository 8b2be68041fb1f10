"""A run that has ended, played on its page: what changes from moment to moment, and the end of a log at one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from controller.api.auth.authenticator import AccessRequest
from controller.api.auth.permissions import GROUP
from controller.api.http.problems import ApiProblemError
from controller.api.routes.run.logs import log_stream
from controller.api.runs.find import find_run
from controller.api.state import AppState, get_state
from controller.dashboard.page_route import PageRoute
from controller.dashboard.rendering import environment
from controller.dashboard.session import ROOT
from controller.dashboard.views.history import RunHistory
from controller.dashboard.views.log_html import rows_html
from controller.dashboard.views.run_parts import changed_parts, run_parts
from controller.dashboard.views.run_view import RunView, StepView
from controller.logs import LogNotFoundError, Stream
from controller.logs.model import STEP_CONTAINER

LINES = 12
"""Lines of a log that are shown."""
MAX_PLAYED_BYTES = 8 * 1024 * 1024
"""Of a longer log, the end is shown only where playing pauses: finding it may take reading half of it."""

Seconds = Annotated[float, Query(ge=0, le=1e9, allow_inf_nan=False)]
Slug = Annotated[str, Query(max_length=63)]

router = APIRouter(prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}", route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class PastLog:
    """The last lines of a step's log at a moment (`at`, in seconds), or `note`: why there are none."""

    step: StepView | None
    at: float
    note: str = ""
    html: Markup = field(default_factory=Markup)


@dataclass(frozen=True)
class PastLogReader:
    """Reads the ends of logs of a run (its uid), if the user may."""

    state: AppState
    namespace: str
    uid: str
    history: RunHistory
    is_allowed: bool

    @classmethod
    async def of(cls, request: Request, ns: str, run: Mapping[str, Any], history: RunHistory) -> PastLogReader:
        """For the user of the request."""
        state, meta = get_state(request), run["metadata"]
        access = AccessRequest("get", GROUP, "pipelineruns", "log", namespace=ns, name=str(meta["name"]))
        is_allowed = await state.authenticator.is_allowed(request.state.user, access)
        return cls(state, ns, str(meta["uid"]), history, is_allowed)

    async def read(self, view: RunView, at: float, slug: str = "", *, playing: bool = False) -> PastLog:
        """The end of the log of a step, or of the one that started last; `view` is the run at the moment."""
        step = next((each for each in view.steps if each.slug == slug), None) or latest_step(view)
        if step is None:
            return PastLog(None, at, "No step has started yet.")
        if not self.is_allowed:
            return PastLog(step, at, "You may not read logs.")
        if not step.attempts and not step.is_reused:
            return PastLog(step, at, "It has not started yet.")
        recorded = self.history.steps[step.index]
        if playing and _size(recorded, step.attempts) > MAX_PLAYED_BYTES:
            return PastLog(step, at, "Its log is long: it is shown while playing pauses.")
        try:
            number = None if step.is_reused else step.attempts
            stream = log_stream(self.namespace, self.uid, recorded, number, STEP_CONTAINER)
            html = await self._end(stream, at, f"{view.row.name}/steps/{quote(step.slug, safe='')}")
        except LogNotFoundError:
            return PastLog(step, at, "Its log is not stored.")
        except ApiProblemError as error:
            return PastLog(step, at, error.detail)
        return PastLog(step, at, "" if html else "It has printed nothing yet.", html)

    async def _end(self, stream: Stream, at: float, base: str) -> Markup:
        time_ns = int(self.history.time(at).timestamp() * 1e9)
        count = await self.state.logs.count_until(stream, time_ns)
        lines = []
        async with aclosing(self.state.logs.blocks(stream, after=max(count - LINES, 0))) as blocks:
            async for block in blocks:
                lines += block.until_line(count + 1).lines() if block.first <= count else []
                if block.end > count:
                    break
        return rows_html(lines, base)


def latest_step(view: RunView) -> StepView | None:
    """The step that started last: of those that run, or else of all."""
    started = [each for each in view.steps if each.started is not None]
    running = [each for each in started if each.phase == "Running"]
    return max(running or started, key=lambda each: each.started, default=None)  # type: ignore[arg-type, return-value]


def _size(step: Mapping[str, Any], attempt: int) -> int:
    logs = (each.get("log") or {} for each in step.get("attempts") or () if each["number"] == attempt)
    return sum(int(each.get("bytes") or 0) for each in logs)


@router.get("/moment", operation_id="getRun")
async def moment(
    request: Request,
    ns: str,
    run: str,
    at: Seconds,
    since: Seconds | None = None,
    step: Slug = "",
    playing: bool = False,
) -> Response:
    """The pieces of the page that are different at a moment, from those at the moment that is shown (`since`)."""
    state = get_state(request)
    # A summary has all but the definition, which is not shown; asking Kubernetes ten times a second is for nothing.
    found = state.runs.get(ns, run) or await find_run(state, ns, run)
    history: RunHistory | None = request.app.state.dashboard.histories.of(found)
    if history is None:
        raise ApiProblemError("conflict", f"the run {run} has not ended: it can be played once it has")
    at = history.clamp(at)
    view = history.view(at)
    parts = run_parts(view) if since is None else changed_parts(history.view(history.clamp(since)), view)
    reader = await PastLogReader.of(request, ns, found, history)
    macros: Any = environment().get_template("player.html").module
    log = str(macros.past_log(view, await reader.read(view, at, step, playing=playing)))
    return JSONResponse({"at": at, "parts": {**parts, "log-at": log}}, headers={"Cache-Control": "no-store"})
