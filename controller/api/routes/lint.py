"""What is wrong with a pipeline file, and whether an event would run it: the pipeline room's answers over HTTP."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.permissions import GuardedRoute
from controller.api.models import public
from controller.api.runs.validation import as_entry
from controller.pipeline.conditions import Occasion, match
from controller.pipeline.lint import lint

router = APIRouter(prefix="/api/v1", tags=["lint"], route_class=GuardedRoute)


@router.post("/lint", operation_id="lint", response_model=public.LintAnswer)
async def lint_file(request: Request, body: public.LintRequest) -> Response:
    """Checks a pipeline file. With `event`, and no errors, it also says whether that event would start a run."""
    # In a thread: a file may be large, and nobody else should wait for it.
    return JSONResponse(await asyncio.to_thread(answer, body.text, body.event, body.branch))


def answer(text: str, event: str | None, branch: str | None) -> dict[str, Any]:
    """The findings, and the verdict on the event where one was named and there is a pipeline to judge."""
    result = lint(text)
    found: dict[str, Any] = {"problems": [as_entry(problem) for problem in result.problems]}
    if event is not None and result.pipeline is not None:
        verdict = match(result.pipeline, Occasion(event=event, branch=branch or ""))
        found["wouldRun"] = {"runs": verdict.runs, "why": verdict.why}
    return found
