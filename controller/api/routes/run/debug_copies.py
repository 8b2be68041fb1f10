"""Debug copies of failed steps: a run of that one step, on the saved workspace, to open a shell in.

The caller needs permission to get the run, to create runs and to exec into pods: the workspace may hold whatever the
step wrote. The copy is a run like any other; it ends by itself, and is deleted by its user or by retention.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from controller.api import serializers
from controller.api.artifacts.workspaces import debug_source, find_workspace, saved_attempt, workspace_key
from controller.api.auth.authorize import require_permission
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import runs as models
from controller.api.routes.runs import IdempotencyKey
from controller.api.runs import validation
from controller.api.runs.computing import compute
from controller.api.runs.create import create_pipeline_run
from controller.api.runs.find import find_run
from controller.api.runs.request import debug_copy, idempotency
from controller.api.state import get_state
from controller.pipeline.debug_copy import build_debug_pipeline
from controller.pipeline.model import Pipeline
from controller.pipeline.run_cost import estimate_effort

log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["runs"], route_class=GuardedRoute)


@router.post("/steps/{step}/copy", operation_id="copyStep", status_code=201, response_model=models.Run)
async def copy_step(
    request: Request, ns: str, run: str, step: str, body: models.CopyRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """Starts a debug copy of a failed step: its environment and its saved workspace, without running its commands."""
    state, user = get_state(request), request.state.user.name
    await require_permission(request, "get", "pipelineruns", ns, name=run)
    await require_permission(request, "create", "pods", ns, subresource="exec", group="")
    key = idempotency(idempotency_key, user, f"{run}/{step}/copy", body)
    found = await find_run(state, ns, run)
    slug, attempt = saved_attempt(found, step, body.attempt)
    await find_workspace(state.store, workspace_key(found, slug, attempt))
    definition = await asyncio.to_thread(_debug_definition, found, slug, body.seconds)
    params = (found.get("spec") or {}).get("params") or {}
    validated = await compute(
        state, estimate_effort(definition, params), validation.validate_run, dict(definition), params
    )
    created, is_new = await create_pipeline_run(state, ns, debug_copy(found, slug, attempt, validated, user), key)
    if is_new:
        fields = {"namespace": ns, "run": created["metadata"]["name"], "copyOf": run, "step": slug, "user": user}
        log.info("run created", extra=fields)
    headers = {"Location": f"/api/v1/namespaces/{ns}/runs/{created['metadata']['name']}"}
    return JSONResponse(serializers.serialize_run(created, definition=True), status_code=201, headers=headers)


def _debug_definition(run: Mapping[str, Any], slug: str, seconds: int) -> Mapping[str, Any]:
    name = run["metadata"]["name"]
    if debug_source(run) is not None:
        raise ApiProblemError("conflict", f"the run {name} is a debug copy itself")
    try:
        pipeline = Pipeline.model_validate((run.get("spec") or {}).get("pipeline") or {})
    except ValidationError:
        raise ApiProblemError(
            "conflict", f"the pipeline of {name} is not valid for this version of the controller"
        ) from None
    found = build_debug_pipeline(pipeline, slug, seconds)
    if found is None:
        raise ApiProblemError("not-found", f"the pipeline of {name} has no step {slug}")
    return found
