"""Saved workspaces of failed steps: the agent asks whether to save one, and uploads it.

Only the API knows whether a run was cancelled: in its pods, every way of being stopped looks the same.
"""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.workspaces import WorkspaceKey, workspace_key
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.routes.agent.access import authorize_agent
from controller.api.routes.agent.uploads import commit_archive, grant_upload
from controller.api.runs.find import reread_run
from controller.api.state import AppState, get_state
from controller.storage import ObjectExistsError

router = APIRouter(prefix="/api/v1/agent/workspaces", tags=["agent"], route_class=GuardedRoute)


@router.get("/{slug}/{attempt}", operation_id="agentWorkspace", response_model=models.WorkspaceTerms)
async def workspace_terms(request: Request, slug: str, attempt: int) -> Response:
    """Whether to save the workspace of this attempt, and how large its archive may be."""
    state = get_state(request)
    run, key = await _workspace(state, request, slug, attempt)
    # The agent asks a moment after the step was stopped: the cache may not know the reason yet.
    why = _refusal_reason(state, await reread_run(state, run))
    limit = state.settings.workspace_limit
    left = await state.budgets.workspaces.left(key.manifest)
    if why is None and left is not None and left < limit:
        limit = left
        why = None if left else "the saved workspaces of the namespace use up --namespace-workspaces-limit-mib"
    terms = {"wanted": why is None, "limit": limit}
    return JSONResponse(terms | ({"why": why} if why is not None else {}))


@router.post("/{slug}/{attempt}", operation_id="agentWorkspaceUpload", response_model=models.UploadLink)
async def workspace_upload(request: Request, slug: str, attempt: int, body: models.UploadRequest) -> Response:
    """The URL to PUT the archive of an attempt's workspace to."""
    state = get_state(request)
    _, key = await _workspace(state, request, slug, attempt)
    _check_size(state, body.size)
    committed = f"the workspace of {slug}, attempt {attempt}, has been reported already"
    return await grant_upload(state, key, body, state.budgets.workspaces, committed)


@router.put(
    "/{slug}/{attempt}/manifest",
    operation_id="agentWorkspaceManifest",
    status_code=204,
    response_class=Response,
)
async def workspace_manifest(request: Request, slug: str, attempt: int, body: models.WorkspaceReport) -> Response:
    """Reports a workspace as stored, or why it is not. The first report stays; repeating it has no effect."""
    state = get_state(request)
    _, key = await _workspace(state, request, slug, attempt)
    report: dict[str, Any]
    if body.problem is not None:
        report = {"problem": body.problem}
    elif body.size is None or body.sha256 is None:
        raise ApiProblemError("invalid", "give either size and sha256 of the archive, or problem")
    else:
        _check_size(state, body.size)
        await commit_archive(state, key, body.sha256, body.size, state.budgets.workspaces, "the call")
        report = {"size": body.size, "sha256": body.sha256, "files": body.files, "leftOut": body.left_out}
    document = json.dumps(report, separators=(",", ":")).encode()
    try:
        await state.store.put(key.manifest, document, if_absent=True)
    except ObjectExistsError:
        if await state.store.get(key.manifest) != document:
            raise ApiProblemError("conflict", f"{slug}, attempt {attempt}: another report was stored") from None
    return Response(status_code=204)


async def _workspace(
    state: AppState, request: Request, slug: str, attempt: int
) -> tuple[Mapping[str, Any], WorkspaceKey]:
    access = await authorize_agent(state, request, "step", slug, attempt)
    access.check_workspace()
    return access.run, workspace_key(access.run, slug, attempt)


def _refusal_reason(state: AppState, run: Mapping[str, Any]) -> str | None:
    if state.settings.workspace_limit == 0:
        return "this controller saves no workspaces (--kept-workspace-limit-mib is 0)"
    if "deletionTimestamp" in run["metadata"]:
        return "the run was deleted"
    return "the run was cancelled" if (run.get("spec") or {}).get("cancel") else None


def _check_size(state: AppState, size: int) -> None:
    limit = state.settings.workspace_limit
    if size > limit:
        raise ApiProblemError("too-large", f"the packed workspace has {size} bytes; the limit is {limit}")
