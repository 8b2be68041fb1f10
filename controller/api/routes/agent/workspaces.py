"""The door for the workspaces of failed steps: an agent asks whether its one is wanted, and stores it.

Whether a run was cancelled is known here and not in its pods, where being stopped looks the same for any reason.
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
from controller.api.routes.agent.artifacts import authorized_attempt, authorized_run
from controller.api.state import AppState, get_state
from controller.kube import PIPELINE_RUNS
from controller.storage import ObjectExistsError

router = APIRouter(prefix="/api/v1/agent/workspaces", tags=["agent"], route_class=GuardedRoute)


@router.get("/{slug}/{attempt}", operation_id="agentWorkspace", response_model=models.WorkspaceTerms)
async def workspace_terms(request: Request, slug: str, attempt: int) -> Response:
    """Whether the workspace of this attempt is to be kept, and how large its archive may be."""
    state = get_state(request)
    run, _ = await _workspace(state, request, slug, attempt)
    meta = run["metadata"]
    # The agent asks a moment after the step was stopped: the cache may not know the reason yet.
    why = _refusal_reason(state, await state.client.get(PIPELINE_RUNS, meta["name"], namespace=meta["namespace"]))
    terms = {"wanted": why is None, "limit": state.settings.workspace_limit}
    return JSONResponse(terms | ({"why": why} if why is not None else {}))


@router.post("/{slug}/{attempt}", operation_id="agentWorkspaceUpload", response_model=models.UploadLink)
async def workspace_upload(request: Request, slug: str, attempt: int, body: models.UploadRequest) -> Response:
    """Where to PUT the archive of an attempt's workspace."""
    state = get_state(request)
    _, place = await _workspace(state, request, slug, attempt)
    _check_size(state, body.size)
    if await state.store.head(place.manifest) is not None:
        raise ApiProblemError("conflict", f"the workspace of {slug}, attempt {attempt}, is told of already")
    return JSONResponse({"url": await state.signed_url("PUT", place.archive)})


@router.put(
    "/{slug}/{attempt}/manifest",
    operation_id="agentWorkspaceManifest",
    status_code=204,
    response_class=Response,
)
async def workspace_manifest(request: Request, slug: str, attempt: int, body: models.WorkspaceTold) -> Response:
    """Says that a workspace is stored, or why it is not. The first word stays; saying it twice is the same as once."""
    state = get_state(request)
    _, place = await _workspace(state, request, slug, attempt)
    told: dict[str, Any]
    if body.problem is not None:
        told = {"problem": body.problem}
    elif body.size is None or body.sha256 is None:
        raise ApiProblemError("invalid", "either what is stored has to be told (size, sha256), or the problem")
    else:
        _check_size(state, body.size)
        stored = await state.store.head(place.archive)
        if stored is None or stored.size != body.size:
            found = "not there" if stored is None else f"{stored.size} bytes"
            raise ApiProblemError("conflict", f"the archive in the store is {found}, the call says {body.size} bytes")
        told = {"size": body.size, "sha256": body.sha256, "files": body.files, "leftOut": body.left_out}
    document = json.dumps(told, separators=(",", ":")).encode()
    try:
        await state.store.put(place.manifest, document, if_absent=True)
    except ObjectExistsError:
        if await state.store.get(place.manifest) != document:
            raise ApiProblemError("conflict", f"{slug}, attempt {attempt}: something else was told of it") from None
    return Response(status_code=204)


async def _workspace(
    state: AppState, request: Request, slug: str, attempt: int
) -> tuple[Mapping[str, Any], WorkspaceKey]:
    run = await authorized_run(state, request)
    await authorized_attempt(state, run, slug, attempt)
    return run, workspace_key(run, slug, attempt)


def _refusal_reason(state: AppState, run: Mapping[str, Any]) -> str | None:
    if state.settings.workspace_limit == 0:
        return "this controller keeps no workspaces (--kept-workspace-limit-mib is 0)"
    if "deletionTimestamp" in run["metadata"]:
        return "the run was deleted"
    return "the run was cancelled" if (run.get("spec") or {}).get("cancel") else None


def _check_size(state: AppState, size: int) -> None:
    limit = state.settings.workspace_limit
    if size > limit:
        raise ApiProblemError("too-large", f"the workspace has {size} bytes, packed; at most {limit} are taken")
