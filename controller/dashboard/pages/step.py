"""A step: why it is as it is, and its log by ranges of lines, searched, live, or whole as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from controller.api.artifacts.keys import find_step
from controller.api.http.problems import ApiProblemError
from controller.api.routes.run import logs as calls
from controller.api.runs.find import find_run
from controller.api.state import AppState, get_state
from controller.api.step_commands import command_texts, serialize_commands
from controller.dashboard import rendering
from controller.dashboard.live.log_feed import follow_log
from controller.dashboard.live.stream import event_response, reauthorization
from controller.dashboard.page_route import PageRoute
from controller.dashboard.session import ROOT
from controller.dashboard.views.log_html import rows_html
from controller.dashboard.views.log_view import BEFORE, PAGE_LINES, LogView, build_log, read_range, search_lines
from controller.dashboard.views.run_view import RunView, StepView, build_run
from controller.logs import LogNotFoundError, Stream
from controller.logs.model import STEP_CONTAINER
from controller.run_types.keys import RunKey

router = APIRouter(
    prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}/steps/{{step}}", route_class=PageRoute, include_in_schema=False
)

Attempt = Annotated[int | None, Query(ge=1, le=1_000_000)]


@dataclass(frozen=True)
class _Opened:
    """A step of a run, and the log of one of its attempts."""

    run: Mapping[str, Any]
    status: Mapping[str, Any]
    stream: Stream
    view: RunView
    step: StepView
    attempt: int

    @property
    def record(self) -> Mapping[str, Any] | None:
        """The status of the attempt whose log it is."""
        return next((each for each in self.status.get("attempts") or () if each["number"] == self.attempt), None)

    @property
    def failing(self) -> int | None:
        """The line that explains the failure, in the log of the last attempt."""
        is_last = self.attempt == self.step.attempts or not self.step.attempts
        return self.step.failure[0] if self.step.failure is not None and is_last else None

    @property
    def has_ended(self) -> bool:
        """Whether the log is complete."""
        return bool(self.status.get("reused")) or bool(((self.record or {}).get("log") or {}).get("archived"))


@router.get("", operation_id="getLogs")
async def step_page(
    request: Request,
    ns: str,
    run: str,
    step: str,
    attempt: Attempt = None,
    line: Annotated[int | None, Query(ge=1, le=10**12)] = None,
    tail: Annotated[bool, Query()] = False,
    search: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The step with a range of its log: around a line, the last lines, or where it failed."""
    state = get_state(request)
    opened = await _open(state, ns, run, step, attempt)
    view, problem = LogView(), ""
    hits: tuple[Sequence[Any], bool] | None = None
    try:
        view = await _read(state, opened, line, tail)
        if search:
            async with aclosing(state.logs.blocks(opened.stream)) as blocks:
                hits = await search_lines(blocks, search)
    except LogNotFoundError:
        problem = "There is no log: the step has not started." if not opened.has_ended else "Its log is not stored."
    slug = quote(opened.step.slug, safe="")
    is_followed = not opened.has_ended and not view.has_more and not opened.view.is_final
    return rendering.render(
        request,
        "step.html",
        run=opened.view,
        step=opened.step,
        slug=slug,
        attempt=opened.attempt,
        last_attempt=max(opened.step.attempts, 1),
        at=f"?attempt={opened.attempt}",
        view=view,
        problem=problem,
        text=search,
        hits=None if hits is None else hits[0],
        hits_cut=hits is not None and hits[1],
        hits_html=Markup("") if hits is None else rows_html(hits[0], slug, opened.failing),
        follow=f"{slug}/events?attempt={opened.attempt}&after={view.last}" if is_followed else "",
    )


@router.get("/log.txt", operation_id="getLogs")
async def whole_log(request: Request, ns: str, run: str, step: str, attempt: Attempt = None) -> Response:
    """The whole log as text, as far as it was written."""
    return await calls.get_logs(request, ns, run, step, attempt, STEP_CONTAINER, None, False, False)


@router.get("/events", operation_id="getLogs")
async def log_events(
    request: Request,
    ns: str,
    run: str,
    step: str,
    attempt: Attempt = None,
    after: Annotated[int, Query(ge=0, le=10**12)] = 0,
) -> Response:
    """The lines of the log as they come, after a line."""
    state = get_state(request)
    opened = await _open(state, ns, run, step, attempt)
    resumed = request.headers.get("last-event-id", "")
    after = int(resumed) if resumed.isascii() and resumed.isdigit() and len(resumed) < 13 else after
    timer = reauthorization(request, "getLogs")
    return event_response(state, follow_log(state, RunKey(ns, run), opened.stream, after, timer))


async def _open(state: AppState, ns: str, run: str, step: str, attempt: int | None) -> _Opened:
    found = await find_run(state, ns, run)
    status = find_step(found, step)
    if status is None:
        raise ApiProblemError("not-found", f"the run {run} has no step {step[:100]}")
    stream = calls.log_stream(ns, found["metadata"]["uid"], status, attempt, STEP_CONTAINER)
    view = build_run(found, state.utc_now())
    shown = next(each for each in view.steps if each.slug == status["slug"])
    number = stream.attempt if not status.get("reused") else (attempt or stream.attempt)
    return _Opened(found, status, stream, view, shown, number)


async def _read(state: AppState, opened: _Opened, line: int | None, tail: bool) -> LogView:
    """The lines to show. Raises LogNotFoundError."""
    failing = opened.failing
    wanted = line or (None if tail else failing)
    is_tail = tail or (wanted is None and not opened.has_ended)
    lines, has_more = await read_range(
        state.logs, opened.stream, max(1, (wanted or 1) - BEFORE), PAGE_LINES if is_tail else None
    )
    starts = await state.logs.commands(opened.stream)
    commands = serialize_commands(starts, command_texts(opened.run, opened.status), opened.record)
    total = ((opened.record or {}).get("log") or {}).get("lines")
    return build_log(
        lines, commands, base=quote(opened.step.slug, safe=""), failing=failing, wanted=wanted, total=total,
        has_more=has_more,
    )  # fmt: skip
