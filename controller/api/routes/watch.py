"""The route of the live run list: server-sent events over watch.py, and the check that a long reader still may read."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from controller.api.auth.permissions import GuardedRoute, reauthorizer
from controller.api.models.public import NAME_PATTERN
from controller.api.state import AppState, get_state
from controller.api.streaming import sse

router = APIRouter(prefix="/api/v1/namespaces/{ns}/watch", tags=["runs"], route_class=GuardedRoute)


class EventStream(StreamingResponse):
    """`text/event-stream`, not kept and not buffered on its way."""

    media_type = "text/event-stream"


@router.get("/runs", operation_id="watchRuns", response_class=EventStream)
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
    services = get_state(request)
    wanted = sse.WatchFilter(ns, run, sse.resume_version(last_event_id, resource_version))
    stream = sse.event_stream(
        services.watch_cache,
        wanted,
        lambda: services.runs.list(ns),
        sse.ReauthorizationTimer(reauthorizer(request, "watchRuns"), services.settings.heartbeat_seconds),
    )
    return EventStream(_count_subscriber(services, stream), headers={"X-Accel-Buffering": "no"})


async def _count_subscriber(services: AppState, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    services.metrics.change_subscribers("runs", +1)
    try:
        async for part in stream:
            yield part
    finally:
        services.metrics.change_subscribers("runs", -1)
