"""Logs for people: the text of one step, and one WebSocket for many steps, live.

Numbering, masking and keeping lines is the logs room's job, and so is telling a reader that fell behind what it
missed; here lines are handed out at a pace that a reader can take (log_session.py).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from controller.api.artifacts.keys import step_of
from controller.api.auth.permissions import GuardedRoute, admit_socket
from controller.api.http.problems import ApiProblem
from controller.api.models.public import NAME
from controller.api.routes.runs import ENDED, find_run
from controller.api.serializers import phase_of
from controller.api.state import Services, services_of
from controller.api.streaming.log_frames import Encoder, Outbox, Piece
from controller.api.streaming.log_session import LogSession
from controller.kube import PIPELINE_RUNS, KubeError, NotFound
from controller.logs import Block, Borrowed, Done, End, Frame, Lines, Live, Missed, Stream, timestamp, with_stamps

CONTAINER = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
STEPS = 300
_AFTER = re.compile(
    r"([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d{1,6}):([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d{1,15})"
)


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
    redirect: Annotated[bool, Query(description="a whole log that is archived: a signed link to it (302)")] = False,
) -> Response:
    """A step's log as far as it was written; of a step that was not run again that of the run it is from."""
    services = services_of(request)
    found = await find_run(services, ns, run)
    status = step_of(found, step)
    if status is None:
        raise ApiProblem("not-found", f"the run {run} has no such step")
    stream = stream_of(ns, run, status, attempt, container)
    if redirect and tail is None and not timestamps and await _is_whole(services, stream):
        return RedirectResponse(await services.link("GET", stream.key, outside=True), 302)
    blocks = services.logs.blocks(stream, tail=tail)
    # The first piece is asked for before the answer begins: a log that is not there must be a 404.
    first = await anext(blocks, None)
    return PlainText(_text(first, blocks, timestamps))


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
    still_admitted = await admit_socket(socket, "streamLogs", ticket)
    found = await find_run(services, ns, run)
    slugs = frozenset(_slug(found, each) for each in step or ())
    finished, borrowed = asyncio.Event(), Borrowed()
    borrowed.tell(reused_steps(ns, found))
    frames = services.logs.follow_run(
        ns, run, finished=finished, steps=slugs or None, after=resume_points(ns, run, after or ()), borrowed=borrowed
    )
    await socket.accept()
    services.meter.subscribed("logs", +1)
    try:
        await LogSession(
            socket,
            frames,
            partial(put, services.encoder),
            still_admitted,
            services.settings.heartbeat_seconds,
            beside=lambda: _until_over(services, ns, run, finished, borrowed),
            sent=lambda size: services.meter.sent("logs", size),
        ).run()
    finally:
        services.meter.subscribed("logs", -1)


def put(encoder: Encoder, outbox: Outbox, frame: Frame) -> None:
    """A frame of the logs room, as the reader of a socket is sent it."""
    if isinstance(frame, Done):
        outbox.put(None, "done")
        return
    stream = (frame.stream.slug, frame.stream.attempt, frame.stream.container)
    match frame:
        case Lines():
            outbox.put_lines(stream, _pieces(encoder, frame))
        case Live():
            outbox.put(stream, "live")
        case Missed():
            outbox.put(stream, "missed", first=frame.first, last=frame.last)
        case End():
            outbox.put(stream, "end", lines=frame.lines)


def _pieces(encoder: Encoder, frame: Lines) -> list[Piece]:
    """Lines as JSON. A log's lines keep their numbers for good, so the numbers say which lines they are."""
    key = (frame.stream, frame.first, frame.block.end)
    found = encoder.remembered(key)
    if found is None:
        lines = ((timestamp(line.time_ns), line.text) for line in frame.lines)
        found = encoder.encode(key, frame.first, lines)
    return found


def resume_points(namespace: str, run: str, texts: Iterable[str]) -> dict[Stream, int]:
    """The last lines that a reader has, from `<slug>:<attempt>:<container>:<line>`; a problem for what is none."""
    found: dict[Stream, int] = {}
    for text in texts:
        match = _AFTER.fullmatch(text)
        if match is None:
            raise ApiProblem("bad-request", "after is <slug>:<attempt>:<container>:<line>")
        slug, attempt, container, line = match.groups()
        found[Stream(namespace, run, slug, int(attempt), container)] = int(line)
    return found


def reused_steps(namespace: str, run: Mapping[str, Any]) -> dict[str, Stream]:
    """The steps that were not run again, by their slugs, and where their lines are."""
    steps = (run.get("status") or {}).get("steps") or ()
    return {str(step["slug"]): stream_of(namespace, "", step, None, "step") for step in steps if step.get("reused")}


async def _until_over(
    services: Services, namespace: str, run: str, finished: asyncio.Event, borrowed: Borrowed
) -> None:
    """Sets `finished` when the run has ended, which it has only when its logs are archived, or is gone; until then
    tells which of its steps are found to need no running.
    """
    history = services.history
    while not history.closed:
        position = history.end
        cached = services.runs.get(namespace, run)
        if cached is not None:
            borrowed.tell(reused_steps(namespace, cached))
        if cached is not None and phase_of(cached) in ENDED:
            break
        if cached is None and await _is_gone(services, namespace, run):
            break
        await history.changed(position, services.settings.heartbeat_seconds)
    finished.set()


async def _is_gone(services: Services, namespace: str, run: str) -> bool:
    try:
        await services.client.get(PIPELINE_RUNS, run, namespace)
    except NotFound:
        return True
    except KubeError:
        return False
    return False


async def _text(first: Block | None, rest: AsyncIterator[Block], timestamps: bool) -> AsyncIterator[bytes]:
    async for block in _chained(first, rest):
        yield with_stamps(block.times, block.data) if timestamps else block.data


async def _chained(first: Block | None, rest: AsyncIterator[Block]) -> AsyncIterator[Block]:
    if first is not None:
        yield first
        async for block in rest:
            yield block


async def _is_whole(services: Services, stream: Stream) -> bool:
    """Whether a link would lead to the whole log: it is archived, and not empty, which is stored as no object."""
    store = services.store
    return await store.head(stream.summary_key) is not None and await store.head(stream.key) is not None


def stream_of(ns: str, run: str, step: Mapping[str, Any], attempt: int | None, container: str) -> Stream:
    """Where the step's lines are: in this run, or in the one whose result was taken over."""
    reused = step.get("reused")
    if reused and attempt in (None, reused.get("attempt")):
        return Stream(ns, str(reused["run"]), str(reused["slug"]), int(reused["attempt"]), container)
    return Stream(ns, run, str(step["slug"]), _attempt(step, attempt), container)


def _attempt(step: Mapping[str, Any], wanted: int | None) -> int:
    numbers = [int(each["number"]) for each in step.get("attempts") or ()]
    if wanted is None:
        return max(numbers, default=1)
    if wanted not in numbers:
        raise ApiProblem("not-found", f"the step {step['slug']} has no attempt {wanted}")
    return wanted


def _slug(run: Mapping[str, Any], step: str) -> str:
    """The slug of a step. Of a run that has no steps yet, what can be a slug is taken for one."""
    status = step_of(run, step)
    if status is not None:
        return str(status["slug"])
    if not (run.get("status") or {}).get("steps") and re.fullmatch(NAME, step):
        return step
    raise ApiProblem("not-found", "the run has no such step")
