"""What the streams share: their events, the repeated check of their reader's permission, and how they end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from controller.api.auth.authorize import reauthorizer
from controller.api.http.problems import ApiProblemError
from controller.api.state import AppState, get_state
from controller.api.streaming.sse import ReauthorizationTimer
from controller.dashboard.page_route import current_session
from controller.dashboard.session import AnySession

HEARTBEAT = b": heartbeat\n\n"


def event(kind: str, data: object, id: str = "") -> bytes:
    """One event, with its data as JSON, which has no line breaks."""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def reauthorization(request: Request, operation: str) -> ReauthorizationTimer:
    """Asks now and then whether the session still is one, and its user still has this permission."""
    session: AnySession = request.state.session
    permitted = reauthorizer(request, operation, session.credential)

    async def is_still_authorized() -> bool:
        if request.app.state.dashboard.sessions.is_over(session):
            return False
        try:
            return current_session(request) is not None and await permitted()
        except ApiProblemError:
            # The proxy's secret was replaced.
            return False

    return ReauthorizationTimer(is_still_authorized, get_state(request).settings.heartbeat_seconds)


def event_response(state: AppState, events: AsyncIterator[bytes]) -> Response:
    """The response with these events."""
    return StreamingResponse(
        _counted(state, events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _counted(state: AppState, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    state.metrics.change_subscribers("pages", +1)
    try:
        async for each in events:
            yield each
    finally:
        state.metrics.change_subscribers("pages", -1)
