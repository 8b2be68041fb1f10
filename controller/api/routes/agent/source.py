"""Snapshots by the clone step: what it packed becomes the run's source.

A snapshot is stored under its digest, which other runs rely on: the store takes no other bytes for it.
"""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.namespace_uids import source_of_run
from controller.api.routes.agent.access import AttemptAccess, authorize_agent
from controller.api.routes.agent.uploads import commit_upload
from controller.api.state import AppState, get_state
from controller.storage import UPLOADS, ObjectExistsError
from controller.storage.sources import SourceId, find_source, period_at, usable_periods

router = APIRouter(prefix="/api/v1/agent/source", tags=["agent"], route_class=GuardedRoute)


@router.post("", operation_id="agentSourceUpload", response_model=models.SourceUpload)
async def upload_source(request: Request, body: models.SnapshotRequest) -> Response:
    """The URL to PUT the snapshot of a repository to, or that it is present already."""
    state = get_state(request)
    access = await _clone_access(state, request, body)
    if body.size > state.settings.source_limit:
        limit = state.settings.source_limit
        raise ApiProblemError("too-large", f"the snapshot has {body.size} bytes; the limit is {limit}")
    source = await source_of_run(state, access.run, body.digest)
    stored = await find_source(state.store, source, state.utc_now())
    if stored is not None and stored.is_usable and stored.size == body.size:
        return JSONResponse({"present": True})
    key = source.key(period_at(state.utc_now()))
    await state.budgets.sources.promise(key, body.size)
    return JSONResponse({**await state.upload_link(key, body.size, source.sha256), "present": False})


@router.put("/manifest", operation_id="agentSourceManifest", status_code=204, response_class=Response)
async def commit_source(request: Request, body: models.Snapshot) -> Response:
    """Commits the snapshot as the run's source. Repeating the same call has no effect."""
    state = get_state(request)
    access = await _clone_access(state, request, body)
    await _commit_snapshot(state, await source_of_run(state, access.run, body.digest), body.size)
    if body.definition is not None:
        # Before the manifest: once that exists, the operator reads both.
        await _commit_definition(state, access, body)
    source: dict[str, Any] = {"digest": body.digest, "commit": body.commit, "size": body.size}
    document = json.dumps({"files": [], "archive": None, "source": source}, separators=(",", ":")).encode()
    await _put_once(state, access.key.manifest, document, body, "snapshot")
    return Response(status_code=204)


async def _commit_definition(state: AppState, access: AttemptAccess, body: models.Snapshot) -> None:
    if access.run["spec"].get("pipelineFrom") != "repository":
        raise ApiProblemError("forbidden", "this run does not take its pipeline from the repository")
    document = body.model_dump(mode="json", by_alias=True, include={"definition", "changed_files"}, exclude_none=True)
    try:
        data = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ApiProblemError("invalid", "the pipeline file is not valid Unicode") from None
    await _put_once(state, access.key.definition, data, body, "pipeline file")


async def _put_once(state: AppState, key: str, document: bytes, body: models.Snapshot, what: str) -> None:
    try:
        await state.store.put(key, document, if_absent=True)
    except ObjectExistsError:
        if await state.store.get(key) != document:
            raise ApiProblemError(
                "conflict", f"{body.slug}, attempt {body.attempt}: another {what} is committed"
            ) from None


async def _commit_snapshot(state: AppState, source: SourceId, size: int) -> None:
    stored = await find_source(state.store, source, state.utc_now())
    if stored is not None and stored.is_usable:
        if stored.size != size:
            detail = f"the source sha256:{source.sha256} has {stored.size} bytes, not {size}"
            raise ApiProblemError("conflict", detail)
        return
    # The period may have ended since the link was given.
    current, last = (source.key(period) for period in usable_periods(state.utc_now()))
    is_current = await state.store.head(UPLOADS + current) is not None
    await commit_upload(state, current if is_current else last, source.sha256, size, state.budgets.sources)


async def _clone_access(state: AppState, request: Request, body: models.SnapshotRequest) -> AttemptAccess:
    access = await authorize_agent(state, request, "source", body.slug, body.attempt)
    access.check_clone()
    return access
