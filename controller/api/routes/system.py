"""Routes about the API itself: health, readiness, metrics, OpenAPI document and tickets for WebSockets."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.authenticator import TICKET_TTL, TicketGrant
from controller.api.auth.authorize import bearer_token
from controller.api.auth.route import GuardedRoute
from controller.api.models import cluster as models
from controller.api.openapi import binary_response
from controller.api.state import get_state

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["system"], route_class=GuardedRoute)


@router.get("/healthz", operation_id="health", response_class=Response, responses=binary_response("text/plain"))
async def health(request: Request) -> Response:
    """Liveness probe. Requires no authentication."""
    return Response("ok\n", media_type="text/plain")


@router.get(
    "/readyz",
    operation_id="ready",
    response_model=models.ReadyAnswer,
    responses={503: {"model": models.ReadyAnswer, "description": "Not ready"}},
)
async def ready(request: Request) -> Response:
    """Readiness probe: 503 with the components that are not ready. Requires no authentication."""
    document = get_state(request).readiness.document()
    return JSONResponse(document, status_code=200 if document["ready"] else 503)


@router.get("/metrics", operation_id="metrics", response_class=Response, responses=binary_response("text/plain"))
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text form, for callers who may `get` the path `/metrics` (Kubernetes' nonResourceURLs)."""
    return Response(get_state(request).metrics.text(), media_type=METRICS_TYPE)


@router.get(
    "/openapi.json",
    operation_id="openapi",
    response_class=JSONResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def description(request: Request) -> Response:
    """This API's OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.post("/api/v1/tickets", operation_id="createTicket", status_code=201, response_model=models.Ticket)
async def create_ticket(request: Request, body: models.TicketRequest) -> Response:
    """Issues a ticket that opens the WebSocket at `path` once, as `?ticket=`, for clients that can't set headers."""
    state = get_state(request)
    ticket = state.tickets.issue(TicketGrant(request.state.user, bearer_token(request), body.path))
    until = datetime.fromtimestamp(state.wall_clock() + TICKET_TTL, UTC)
    expires = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return JSONResponse({"ticket": ticket, "expiresAt": expires}, status_code=201)
