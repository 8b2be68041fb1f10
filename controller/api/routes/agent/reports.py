"""Reports of agents: when the commands of a step began and ended, before the cluster itself shows that.

The operator reads them from the Job of the attempt: it needs no more than the Kubernetes API, and finds them there
after a restart.
"""

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controller import labels
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.routes.agent.access import authorize_agent
from controller.api.state import get_state
from controller.kube import JOBS, ApiError, NotFoundError
from controller.operator import names

router = APIRouter(prefix="/api/v1/agent/reports", tags=["agent"], route_class=GuardedRoute)


@router.put("/{slug}/{attempt}", operation_id="agentReport", status_code=204, response_class=Response)
async def agent_report(request: Request, slug: str, attempt: int, body: models.AgentReport) -> Response:
    """Reports how far an attempt is. A later report replaces the earlier one."""
    state = get_state(request)
    metadata = (await authorize_agent(state, request, "step", slug, attempt, after_retry=True)).run["metadata"]
    now = state.utc_now()
    # The clock of a node may be ahead.
    times = {name: min(time, now) for name in ("began", "ended") if (time := getattr(body, name)) is not None}
    noted = body.model_copy(update=times).model_dump(mode="json", exclude_none=True)
    patch = [
        # A Job of an earlier run may have the same name.
        {"op": "test", "path": "/metadata/ownerReferences/0/uid", "value": metadata["uid"]},
        {
            "op": "add",
            "path": f"/metadata/annotations/{labels.AGENT_REPORT.replace('/', '~1')}",
            "value": json.dumps(noted, separators=(",", ":")),
        },
    ]
    job = names.job_name(str(metadata["name"]), slug, attempt)
    try:
        await state.client.patch(JOBS, job, patch, namespace=str(metadata["namespace"]), patch_type="json")
    except NotFoundError:
        raise ApiProblemError("not-found", f"attempt {attempt} of the step {slug} has no Job any more") from None
    except ApiError as error:
        if error.status == 422:
            raise ApiProblemError("conflict", f"the Job {job} belongs to another run") from None
        raise
    return Response(status_code=204)
