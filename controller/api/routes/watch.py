"""Watches runs: the route of the server-sent events in `streaming/sse.py`."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from controller.api.auth.authorize import reauthorizer
from controller.api.auth.route import GuardedRoute
from controller.api.openapi import binary_response
from controller.api.state import AppState, get_state
from controller.api.streaming import sse
from controller.run_types.patterns import NAME_PATTERN

router = APIRouter(prefix="/api/v1/namespaces/{ns}/watch", tags=["runs"], route_class=GuardedRoute)


class EventStream(StreamingResponse):
    """`text/event-stream`."""

    media_type = "text/event-stream"


@router.get(
    "/runs", operation_id="watchRuns", response_class=StreamingResponse, responses=binary_response("text/event-stream")
)
async def watch_runs(
    request: Request,
    ns: str,
    run: Annotated[str | None, Query(pattern=NAME_PATTERN, description="only this run")] = None,
    resource_version: Annotated[str | None, Query(alias="resourceVersion", max_length=20)] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    """Changes of runs as they happen: `id` is a resourceVersion, `event` one of added, modified, deleted,
    bookmark, restart.

    Without a version the present runs come first, as `added`. After `restart` the stream ends: list again.
    """
    state = get_state(request)
    wanted = sse.WatchFilter(ns, run, sse.resume_version(last_event_id, resource_version))
    stream = sse.event_stream(
        state.watch_cache,
        wanted,
        lambda: state.runs.list(ns),
        sse.ReauthorizationTimer(reauthorizer(request, "watchRuns"), state.settings.heartbeat_seconds),
    )
    return EventStream(_count_subscriber(state, stream), headers={"X-Accel-Buffering": "no"})


async def _count_subscriber(state: AppState, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    state.metrics.change_subscribers("runs", +1)
    try:
        async for part in stream:
            yield part
    finally:
        state.metrics.change_subscribers("runs", -1)
