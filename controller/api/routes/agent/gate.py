"""The gate of a step whose pod was made ahead: its agent asks here when it may open it.

The operator notes the opening at the Job. Two pods may be of the same attempt, if the first was removed before its step
was due: so an agent names the Job that it belongs to, and only that one's gate is opened for it.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.routes.agent.access import authorize_agent
from controller.api.state import get_state
from controller.kube import NotFoundError
from controller.operator import names
from controller.run_types import patterns

WAIT_SECONDS = 20.0
"""Below the time that a request may take."""

router = APIRouter(prefix="/api/v1/agent/gate", tags=["agent"], route_class=GuardedRoute)


@router.get("/{slug}/{attempt}", operation_id="agentGate", response_model=models.GateState)
async def agent_gate(
    request: Request,
    slug: str,
    attempt: int,
    job: Annotated[
        str,
        Query(pattern=patterns.UID_PATTERN, max_length=patterns.MAX_UID_LENGTH, description="uid of the agent's Job"),
    ],
) -> Response:
    """Whether the gate of an attempt may be opened; waits up to 20 seconds for that.

    A conflict means that it never is: its pod was removed before the step was due, or the run has ended.
    """
    state = get_state(request)
    metadata = (await authorize_agent(state, request, "step", slug, attempt)).run["metadata"]
    namespace, name = str(metadata["namespace"]), names.job_name(str(metadata["name"]), slug, attempt)
    try:
        opened = await state.gates.wait(namespace, name, job, WAIT_SECONDS)
    except NotFoundError:
        raise ApiProblemError("conflict", f"the Job {name} that this pod is of was removed") from None
    return JSONResponse({"open": opened is not None, "holds": list(opened.holds) if opened is not None else []})
