"""Lint of pipeline files over HTTP."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.models import pipelines as models
from controller.api.runs import validation
from controller.api.runs.computing import compute
from controller.api.state import get_state
from controller.pipeline.run_cost import MAX_THREAD_BYTES, Effort

router = APIRouter(prefix="/api/v1", tags=["lint"], route_class=GuardedRoute)


@router.post("/lint", operation_id="lint", response_model=models.LintAnswer)
async def lint_file(request: Request, body: models.LintRequest) -> Response:
    """Checks a pipeline file. With `event`, and without errors, it also says whether that event would start a run."""
    effort = Effort.THREAD if len(body.text) <= MAX_THREAD_BYTES else Effort.PROCESS
    return JSONResponse(
        await compute(get_state(request), effort, validation.lint_response, body.text, body.event, body.branch)
    )
