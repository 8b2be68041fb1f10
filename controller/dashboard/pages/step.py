"""A step: why it is as it is, and its log by ranges of lines, searched, live, or whole as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from controller.api.artifacts.keys import find_step
from controller.api.http.problems import ApiProblemError
from controller.api.routes.run import logs as calls
from controller.api.routes.run.reuse import explain_step
from controller.api.runs.find import find_run
from controller.api.state import AppState, get_state
from controller.api.step_commands import command_texts, serialize_commands
from controller.dashboard import rendering
from controller.dashboard.live.log_feed import follow_log
from controller.dashboard.live.stream import event_response, reauthorization
from controller.dashboard.page_route import PageRoute
from controller.dashboard.pages.playback import Seconds
from controller.dashboard.session import ROOT
from controller.dashboard.views.history import RunHistory
from controller.dashboard.views.log_html import rows_html
from controller.dashboard.views.log_view import BEFORE, PAGE_LINES, LogView, build_log, read_range, search_lines
from controller.dashboard.views.run_view import RunView, StepView, build_run
from controller.dashboard.views.usage_view import build_usage
from controller.logs import LogNotFoundError, Stream
from controller.logs.model import STEP_CONTAINER
from controller.run_types.keys import RunKey

router = APIRouter(
    prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}/steps/{{step}}", route_class=PageRoute, include_in_schema=False
)

_CHANGES = {"+": "new", "-": "gone", "~": "changed"}
_KINDS = {
    "file": "Files", "source": "The whole source", "environment": "Environment", "parameter": "Parameters",
    "matrix": "Matrix", "secret": "Secrets", "field": "Fields of the step", "upstream": "Steps before it",
    "image": "Image", "commands": "Commands",
}  # fmt: skip

Attempt = Annotated[int | None, Query(ge=1, le=1_000_000)]


@dataclass(frozen=True)
class _Opened:
    """A step of a run, and the log of one of its attempts.

    Attributes:
        until: the number of the last line that there was at a moment of the past; None for now.
    """

    run: Mapping[str, Any]
    status: Mapping[str, Any]
    stream: Stream
    view: RunView
    step: StepView
    attempt: int
    until: int | None = None

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
    at: Seconds | None = None,
) -> Response:
    """The step with a range of its log: around a line, the last lines, or where it failed; or as it was at a second."""
    state = get_state(request)
    opened = await _open(state, ns, run, step, attempt)
    past = None if at is None else RunHistory.of(opened.run)
    if past is not None and at is not None:
        at = past.clamp(at)
        opened = await _open_past(state, opened, past, at, attempt)
    view, problem = LogView(), ""
    hits: tuple[Sequence[Any], bool] | None = None
    try:
        view = await _read(state, opened, line, tail)
        if search and opened.until is None:
            async with aclosing(state.logs.blocks(opened.stream)) as blocks:
                hits = await search_lines(blocks, search)
    except LogNotFoundError:
        problem = "There is no log: the step has not started." if not opened.has_ended else "Its log is not stored."
    slug = quote(opened.step.slug, safe="")
    is_followed = not opened.has_ended and not view.has_more and not opened.view.is_final and past is None
    return rendering.render(
        request,
        "step.html",
        run=opened.view,
        step=opened.step,
        slug=slug,
        attempt=opened.attempt,
        last_attempt=max(opened.step.attempts, 1),
        query=f"?attempt={opened.attempt}",
        past=None if past is None else at,
        view=view,
        problem=problem,
        text=search,
        hits=None if hits is None else hits[0],
        hits_cut=hits is not None and hits[1],
        hits_html=Markup("") if hits is None else rows_html(hits[0], slug, opened.failing),
        usage=build_usage(opened.record, _definition(opened)),
        follow=_live_address(slug, opened, view, has_lines=not problem) if is_followed else "",
    )


@router.get("/why", operation_id="explainStep")
async def why_page(request: Request, ns: str, run: str, step: str) -> Response:
    """Whether the step took the result of an earlier run, and which of its inputs differ if it did not."""
    found = json.loads(bytes((await explain_step(request, ns, run, step)).body))
    groups: dict[str, list[Mapping[str, str]]] = {}
    for each in found["differences"]:
        shown = {"name": each["name"], "word": _CHANGES.get(each["change"], each["change"])}
        groups.setdefault(_KINDS.get(each["kind"], each["kind"]), []).append(shown)
    return rendering.render(request, "why.html", run=run, found=found, groups=list(groups.items()))


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
    lines: bool = True,
) -> Response:
    """The lines of the log as they come, after a line; or, without `lines`, when the page has to be made again."""
    state = get_state(request)
    opened = await _open(state, ns, run, step, attempt)
    resumed = request.headers.get("last-event-id", "")
    after = int(resumed) if resumed.isascii() and resumed.isdigit() and len(resumed) < 13 else after
    timer = reauthorization(request, "getLogs")
    return event_response(state, follow_log(state, RunKey(ns, run), opened.stream, after, timer, has_lines=lines))


def _live_address(slug: str, opened: _Opened, view: LogView, *, has_lines: bool) -> str:
    """Where the page's stream is. A step that has not started has no attempt yet that could be asked for."""
    if not has_lines:
        return f"{slug}/events?lines=false"
    return f"{slug}/events?attempt={opened.attempt}&after={view.last}"


def _definition(opened: _Opened) -> Mapping[str, Any]:
    """The step in the pipeline; a combination of a matrix has the definition of all of them."""
    name = opened.step.matrix_of or opened.step.name
    steps = (opened.run["spec"].get("pipeline") or {}).get("steps") or ()
    return next((each for each in steps if each.get("name") == name), {})


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


async def _open_past(state: AppState, now: _Opened, history: RunHistory, at: float, attempt: int | None) -> _Opened:
    """The step at a moment, with the attempt of then. Raises a problem for an attempt that there was not."""
    view = history.view(at)
    step = view.steps[now.step.index]
    status = find_step(history.run_at(at), step.slug) or {}
    if not status.get("attempts") and not step.is_reused:
        return replace(now, status=status, view=view, step=step, until=0)
    number = attempt or (None if step.is_reused else max(int(each["number"]) for each in status["attempts"]))
    uid = now.run["metadata"]["uid"]
    stream = calls.log_stream(now.stream.namespace, uid, status, number, STEP_CONTAINER)
    try:
        count = await state.logs.count_until(stream, int(history.time(at).timestamp() * 1e9))
    except LogNotFoundError:
        count = 0
    return _Opened(now.run, status, stream, view, step, stream.attempt, count)


async def _read(state: AppState, opened: _Opened, line: int | None, tail: bool) -> LogView:
    """The lines to show. Raises LogNotFoundError."""
    if opened.until is not None:
        return await _read_past(state, opened, opened.until, line)
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


async def _read_past(state: AppState, opened: _Opened, until: int, line: int | None) -> LogView:
    """The lines that there were at a moment: from a line on, or the last ones. Raises LogNotFoundError."""
    if not until:
        return LogView()
    first = max(1, min(line - BEFORE, until)) if line else max(1, until - PAGE_LINES + 1)
    lines, has_more = await read_range(state.logs, opened.stream, first)
    shown = [each for each in lines if each.number <= until]
    starts = [each for each in await state.logs.commands(opened.stream) if each.line <= until]
    commands = serialize_commands(starts, command_texts(opened.run, opened.status), opened.record)
    return build_log(
        shown, commands, base=quote(opened.step.slug, safe=""), failing=None, wanted=line, total=until,
        has_more=has_more and len(shown) == len(lines),
    )  # fmt: skip
