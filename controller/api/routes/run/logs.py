"""Logs of runs: the text of one step, and one WebSocket for many steps, live.

Lines are numbered, masked and archived by `controller.logs`; here they are sent at a rate that the reader can take
(`streaming/log_session.py`).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from controller.api.artifacts.keys import find_step, producer_uid
from controller.api.auth.authorize import authorize_websocket
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models.runs import StepCommandList
from controller.api.openapi import binary_response, describe_websocket, query, query_list, redirect_response
from controller.api.runs.find import find_run
from controller.api.serializers import phase_of
from controller.api.state import AppState, get_state
from controller.api.step_commands import CommandTexts, command_texts, serialize_commands
from controller.api.streaming.log_serializer import enqueue_frame
from controller.api.streaming.log_session import LogSession
from controller.kube import PIPELINE_RUNS, KubeError, NotFoundError
from controller.logs import Block, ReusedLogs, Stream, format_lines
from controller.logs.model import STEP_CONTAINER
from controller.run_types.keys import RunKey
from controller.run_types.patterns import NAME_PATTERN
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.summary import is_summary, status_of
from controller.storage import Download

CONTAINER_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
MAX_STEPS = 300
_AFTER = re.compile(
    r"([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d{1,6}):([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d{1,15})"
)


class PlainText(StreamingResponse):
    """`text/plain`, whatever a step has printed: browsers must not interpret it as anything else."""

    media_type = "text/plain; charset=utf-8"


router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["logs"], route_class=GuardedRoute)


@router.get(
    "/steps/{step}/logs",
    operation_id="getLogs",
    response_class=StreamingResponse,
    responses=binary_response("text/plain") | redirect_response(),
)
async def get_logs(
    request: Request,
    ns: str,
    run: str,
    step: str,
    attempt: Annotated[int | None, Query(ge=1, le=1_000_000, description="the last one, unless given")] = None,
    container: Annotated[str, Query(pattern=CONTAINER_PATTERN)] = "step",
    tail: Annotated[int | None, Query(ge=0, le=10_000_000, description="only so many last lines")] = None,
    timestamps: Annotated[bool, Query(description="start each line with its time")] = False,
    redirect: Annotated[bool, Query(description="redirect to a signed URL if the whole log is archived (302)")] = False,
) -> Response:
    """A step's log as far as it was written; for a reused step, the log of the run that it was reused from."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    status = find_step(found, step)
    if status is None:
        raise ApiProblemError("not-found", f"the run {run} has no such step")
    stream = log_stream(ns, found["metadata"]["uid"], status, attempt, container)
    if redirect and tail is None and not timestamps and await _has_archived_object(state, stream):
        download = Download("text/plain; charset=utf-8", f"{run}-{status['slug']}.log")
        return RedirectResponse(await state.signed_url(stream.key, external=True, download=download), 302)
    blocks = state.logs.blocks(stream, tail=tail)
    # Wait for the first block: a missing log must be a 404.
    first = await anext(blocks, None)
    return PlainText(_format_blocks(first, blocks, timestamps))


@router.get("/steps/{step}/commands", operation_id="listCommands", response_model=StepCommandList)
async def list_commands(
    request: Request,
    ns: str,
    run: str,
    step: str,
    attempt: Annotated[int | None, Query(ge=1, le=1_000_000, description="the last one, unless given")] = None,
) -> dict[str, Any]:
    """The commands of a step that have started: each with the line that its output begins with, times, exit code."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    status = find_step(found, step)
    if status is None:
        raise ApiProblemError("not-found", f"the run {run} has no such step")
    stream = log_stream(ns, found["metadata"]["uid"], status, attempt, STEP_CONTAINER)
    starts = await state.logs.commands(stream)
    recorded = next((each for each in status.get("attempts") or () if each["number"] == stream.attempt), None)
    return {"items": serialize_commands(starts, command_texts(found, status), recorded)}


@router.websocket("/logs/stream", name="streamLogs")
@describe_websocket(
    description="A WebSocket: log lines of many steps, first what exists, then live. docs/api.md describes the frames.",
    tag="logs",
    path=("ns", "run"),
    query=[
        query_list("step", "a step's slug; default: all steps"),
        query_list("after", "<slug>:<attempt>:<container>:<line>: resume after it"),
        query("partial", type="boolean", default=False, description="also what unfinished lines show"),
    ],
)
async def stream_logs(
    socket: WebSocket,
    ns: str,
    run: str,
    step: Annotated[list[str] | None, Query(max_length=MAX_STEPS)] = None,
    after: Annotated[list[str] | None, Query(max_length=4 * MAX_STEPS)] = None,
    partial_lines: Annotated[bool, Query(alias="partial")] = False,
    ticket: Annotated[str | None, Query(max_length=200)] = None,
) -> None:
    """Sends frames of the run's logs (docs/api.md), until the run and all its streams have ended."""
    state = get_state(socket)
    still_admitted = await authorize_websocket(socket, "streamLogs", ticket)
    found = await find_run(state, ns, run)
    slugs = frozenset(_step_slug(found, each) for each in step or ())
    run_uid = str(found["metadata"]["uid"])
    finished, borrowed = asyncio.Event(), ReusedLogs()
    borrowed.update(reused_steps(ns, found))
    frames = state.logs.follow_run(
        ns,
        run_uid,
        finished=finished,
        steps=slugs or None,
        after=resume_points(ns, run_uid, after or ()),
        reused_logs=borrowed,
        partial_lines=partial_lines,
    )
    await socket.accept()
    state.metrics.change_subscribers("logs", +1)
    try:
        await LogSession(
            socket,
            frames,
            partial(enqueue_frame, state.encoder, CommandTexts(partial(_latest_run, state, RunKey(ns, run), found))),
            still_admitted,
            state.settings.heartbeat_seconds,
            background=lambda: _watch_for_run_end(state, RunKey(ns, run), run_uid, finished, borrowed),
            on_sent=lambda size: state.metrics.add_sent_bytes("logs", size),
        ).run()
    finally:
        state.metrics.change_subscribers("logs", -1)


def _latest_run(state: AppState, key: RunKey, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run from the cache, unless that holds another run of the name. A summary has no definition, but all steps."""
    cached = state.runs.get(*key)
    if cached is None or cached["metadata"]["uid"] != found["metadata"]["uid"]:
        return found
    return {**found, "status": status_of(cached)} if is_summary(cached) else cached


def resume_points(namespace: str, run_uid: str, texts: Iterable[str]) -> dict[Stream, int]:
    """The last line of each stream that the reader has. Raises a problem for an invalid `after`."""
    found: dict[Stream, int] = {}
    for text in texts:
        match = _AFTER.fullmatch(text)
        if match is None:
            raise ApiProblemError("bad-request", "after must be <slug>:<attempt>:<container>:<line>")
        slug, attempt, container, line = match.groups()
        found[Stream(namespace, run_uid, slug, int(attempt), container)] = int(line)
    return found


def reused_steps(namespace: str, run: Mapping[str, Any]) -> dict[str, Stream]:
    """The reused steps, by slug, and the streams that hold their lines."""
    steps = status_of(run).get("steps") or ()
    return {
        str(step["slug"]): log_stream(namespace, "", step, None, "step")
        for step in steps
        if step.get("reused") and producer_uid(step["reused"]) is not None
    }


async def _watch_for_run_end(
    state: AppState, key: RunKey, run_uid: str, finished: asyncio.Event, borrowed: ReusedLogs
) -> None:
    """Sets `finished` when the run has ended, which implies that its logs are archived, or was deleted.

    Until then, updates which of its steps are reused.
    """
    history = state.watch_cache
    while not history.closed:
        position = history.end
        cached = state.runs.get(*key)
        if cached is not None and cached["metadata"]["uid"] != run_uid:
            break
        if cached is not None:
            borrowed.update(reused_steps(key.namespace, cached))
        if cached is not None and phase_of(cached) in FINAL_RUN_PHASES:
            break
        if cached is None and await _is_deleted(state, key, run_uid):
            break
        await history.wait_for_change(position, state.settings.heartbeat_seconds)
    finished.set()


async def _is_deleted(state: AppState, key: RunKey, run_uid: str) -> bool:
    try:
        found = await state.client.get(PIPELINE_RUNS, key.name, key.namespace)
    except NotFoundError:
        return True
    except KubeError:
        return False
    return bool(found["metadata"]["uid"] != run_uid)


async def _format_blocks(first: Block | None, rest: AsyncIterator[Block], timestamps: bool) -> AsyncIterator[bytes]:
    async for block in _prepend(first, rest):
        yield format_lines(block.times, block.data) if timestamps else block.data


async def _prepend(first: Block | None, rest: AsyncIterator[Block]) -> AsyncIterator[Block]:
    if first is not None:
        yield first
        async for block in rest:
            yield block


async def _has_archived_object(state: AppState, stream: Stream) -> bool:
    """Whether a URL leads to the whole log: it is archived, and not empty, which is stored as no object."""
    store = state.store
    return await store.head(stream.summary_key) is not None and await store.head(stream.key) is not None


def log_stream(ns: str, run_uid: str, step: Mapping[str, Any], attempt: int | None, container: str) -> Stream:
    """The stream that holds the step's lines: of this run, or of the one that it was reused from.

    Raises a problem for an attempt that does not exist, and for a run that is not known by its uid.
    """
    reused = step.get("reused")
    if reused and attempt in (None, reused.get("attempt")):
        uid = producer_uid(reused)
        if uid is None:
            detail = f"the step was taken from a run {reused['run']} whose uid an earlier version did not record"
            raise ApiProblemError("not-found", f"{detail}; another run may have its name now")
        return Stream(ns, uid, str(reused["slug"]), int(reused["attempt"]), container)
    return Stream(ns, run_uid, str(step["slug"]), _attempt_number(step, attempt), container)


def _attempt_number(step: Mapping[str, Any], wanted: int | None) -> int:
    numbers = [int(each["number"]) for each in step.get("attempts") or ()]
    if wanted is None:
        return max(numbers, default=1)
    if wanted not in numbers:
        raise ApiProblemError("not-found", f"the step {step['slug']} has no attempt {wanted}")
    return wanted


def _step_slug(run: Mapping[str, Any], step: str) -> str:
    """The slug of a step. If the run has no steps yet, any valid slug is accepted."""
    status = find_step(run, step)
    if status is not None:
        return str(status["slug"])
    if not (run.get("status") or {}).get("steps") and re.fullmatch(NAME_PATTERN, step):
        return step
    raise ApiProblemError("not-found", "the run has no such step")
