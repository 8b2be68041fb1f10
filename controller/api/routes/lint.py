"""Lint of pipeline files over HTTP."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.models import pipelines as models
from controller.api.runs.validation import serialize_diagnostic
from controller.pipeline.conditions import TriggerContext, evaluate_trigger
from controller.pipeline.lint import lint

router = APIRouter(prefix="/api/v1", tags=["lint"], route_class=GuardedRoute)


@router.post("/lint", operation_id="lint", response_model=models.LintAnswer)
async def lint_file(request: Request, body: models.LintRequest) -> Response:
    """Checks a pipeline file. With `event`, and without errors, it also says whether that event would start a run."""
    # In a thread: a large file must not delay other requests.
    return JSONResponse(await asyncio.to_thread(lint_response, body.text, body.event, body.branch))


def lint_response(text: str, event: str | None, branch: str | None) -> dict[str, Any]:
    """The diagnostics and, if an event was given and the pipeline can be read, whether it would start a run."""
    result = lint(text)
    found: dict[str, Any] = {"problems": [serialize_diagnostic(problem) for problem in result.diagnostics]}
    if event is not None and result.pipeline is not None:
        verdict = evaluate_trigger(result.pipeline, TriggerContext(event=event, branch=branch or ""))
        found["wouldRun"] = {"runs": verdict.runs, "why": verdict.reason}
    return found
