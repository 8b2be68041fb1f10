"""Logs for people: the text of one step, and one WebSocket for many steps, live.

Numbering, masking and keeping lines is the logs room's job, and so is telling a reader that fell behind what it missed;
here lines are handed out at a pace that a reader can take (log_session.py).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import Response, StreamingResponse

from controller.api.access import GuardedRoute, admit, rule_of, still_admitted
from controller.api.artifact_keys import step_of
from controller.api.frames import Stream
from controller.api.log_session import LogSession
from controller.api.models import NAME
from controller.api.problems import ApiProblem
from controller.api.runs import find_run
from controller.api.services import services_of

CONTAINER = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
STEPS = 300
_AFTER = re.compile(r"([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d{1,6}):([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d{1,15})")


class PlainText(StreamingResponse):
    """`text/plain`, whatever a step has printed: browsers must not take it for anything else."""

    media_type = "text/plain; charset=utf-8"


router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["logs"], route_class=GuardedRoute)


@router.get("/steps/{step}/logs", operation_id="getLogs", response_class=PlainText)
async def get_logs(
    request: Request,
    ns: str,
    run: str,
    step: str,
    attempt: Annotated[int | None, Query(ge=1, le=1_000_000, description="the last one, unless given")] = None,
    container: Annotated[str, Query(pattern=CONTAINER)] = "step",
    tail: Annotated[int | None, Query(ge=0, le=10_000_000, description="only so many last lines")] = None,
    timestamps: Annotated[bool, Query(description="begin each line with its time")] = False,
) -> Response:
    """A step's log as far as it was written."""
    services = services_of(request)
    found = await find_run(services, ns, run)
    status = step_of(found, step)
    if status is None:
        raise ApiProblem("not-found", f"the run {run} has no such step")
    numbers = [int(each["number"]) for each in status.get("attempts") or ()]
    if attempt is None:
        attempt = max(numbers, default=1)
    elif attempt not in numbers:
        raise ApiProblem("not-found", f"the step {status['slug']} has no attempt {attempt}")
    text = services.logs.read(ns, run, status["slug"], attempt, container, tail=tail, timestamps=timestamps)
    return PlainText(text)


@router.websocket("/logs/stream", name="streamLogs")
async def stream_logs(
    socket: WebSocket,
    ns: str,
    run: str,
    step: Annotated[list[str] | None, Query(max_length=STEPS)] = None,
    after: Annotated[list[str] | None, Query(max_length=4 * STEPS)] = None,
    ticket: Annotated[str | None, Query(max_length=200)] = None,
) -> None:
    """Frames of the run's logs (docs/api.md), until the run has ended and every stream with it."""
    services = services_of(socket)
    user = services.tickets.redeem(ticket) if ticket is not None else None
    await admit(socket, rule_of("streamLogs"), user)
    found = await find_run(services, ns, run)
    slugs = [_slug(found, each) for each in step or ()]
    frames = services.logs.follow_run(ns, run, slugs or None, resume_points(after or ()))
    await socket.accept()
    services.meter.subscribed("logs", +1)
    try:
        await LogSession(
            socket,
            frames,
            put,
            still_admitted(socket, "streamLogs", user),
            services.settings.heartbeat_seconds,
            sent=lambda size: services.meter.sent("logs", size),
        ).run()
    finally:
        services.meter.subscribed("logs", -1)


def resume_points(texts: Iterable[str]) -> dict[Stream, int]:
    """The last lines that a reader has, from `<slug>:<attempt>:<container>:<line>`; a problem for what is none."""
    found: dict[Stream, int] = {}
    for text in texts:
        match = _AFTER.fullmatch(text)
        if match is None:
            raise ApiProblem("bad-request", "after is <slug>:<attempt>:<container>:<line>")
        slug, attempt, container, line = match.groups()
        found[(slug, int(attempt), container)] = int(line)
    return found


def _slug(run: Mapping[str, Any], step: str) -> str:
    """The slug of a step. Of a run that has no steps yet, what can be a slug is taken for one."""
    status = step_of(run, step)
    if status is not None:
        return str(status["slug"])
    if not (run.get("status") or {}).get("steps") and re.fullmatch(NAME, step):
        return step
    raise ApiProblem("not-found", "the run has no such step")
