"""Why a step was reused or not."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.models import runs as models
from controller.api.runs.find import find_run
from controller.api.runs.why import MAX_DIFFERENCES, explain_reuse
from controller.api.state import get_state

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["runs"], route_class=GuardedRoute)


@router.get("/steps/{step}/why", operation_id="explainStep", response_model=models.StepReuse)
async def explain_step(request: Request, ns: str, run: str, step: str) -> Response:
    """Whether a step took the result of an earlier run, and which of its inputs differ if it did not.

    Names only: of files, variables, parameters, secrets, fields of the step, and steps that it depends on.
    """
    state = get_state(request)
    found = await explain_reuse(state, await find_run(state, ns, run), step)
    reused: dict[str, Any] | None = found.step.get("reused")
    document = {
        "step": found.step["name"],
        "slug": found.step["slug"],
        "reused": reused is not None,
        "comparedWith": found.earlier,
        "reason": found.reason,
        "differences": [
            {"kind": each.kind, "name": _printable(each.name), "change": each.change}
            for each in found.differences[:MAX_DIFFERENCES]
        ],
        "more": max(0, len(found.differences) - MAX_DIFFERENCES),
        "problem": found.problem or None,
    }
    return JSONResponse(document)


def _printable(name: str) -> str:
    """Names of files may have bytes that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
