"""Snapshots by the clone step: what it packed becomes the run's source.

A snapshot is stored under its digest, which other runs rely on; so it is uploaded to a key of the run's own first, and
copied to its digest only after its bytes were read back and verified.
"""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.keys import ArtifactKey
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.http.uploads import verify_chunks
from controller.api.models import agent as models
from controller.api.routes.agent.access import authorize_agent
from controller.api.routes.sources import GZIP, source_key
from controller.api.state import AppState, get_state
from controller.storage import ObjectExistsError

router = APIRouter(prefix="/api/v1/agent/source", tags=["agent"], route_class=GuardedRoute)


@router.post("", operation_id="agentSourceUpload", response_model=models.SourceUpload)
async def upload_source(request: Request, body: models.SnapshotRequest) -> Response:
    """The URL to PUT the snapshot of a repository to, or that it is present already."""
    state = get_state(request)
    attempt_key = await _snapshot_attempt(state, request, body)
    if body.size > state.settings.source_limit:
        limit = state.settings.source_limit
        raise ApiProblemError("too-large", f"the snapshot has {body.size} bytes; the limit is {limit}")
    stored = await state.store.head(source_key(attempt_key.namespace, body.digest))
    if stored is not None and stored.size == body.size:
        return JSONResponse({"present": True})
    await state.budgets.sources.promise(source_key(attempt_key.namespace, body.digest), body.size)
    return JSONResponse(
        {"url": await state.signed_url("PUT", _upload_key(attempt_key, body), size=body.size), "present": False}
    )


@router.put("/manifest", operation_id="agentSourceManifest", status_code=204, response_class=Response)
async def commit_source(request: Request, body: models.Snapshot) -> Response:
    """Commits the snapshot as the run's source. Repeating the same call has no effect."""
    state = get_state(request)
    attempt_key = await _snapshot_attempt(state, request, body)
    stored = await state.store.head(source_key(attempt_key.namespace, body.digest))
    if stored is None:
        await _promote_snapshot(state, attempt_key, body)
    elif stored.size != body.size:
        raise ApiProblemError("conflict", f"the source {body.digest} has {stored.size} bytes, not {body.size}")
    source: dict[str, Any] = {"digest": body.digest, "commit": body.commit, "size": body.size}
    document = json.dumps({"files": [], "archive": None, "source": source}, separators=(",", ":")).encode()
    key = attempt_key.manifest
    try:
        await state.store.put(key, document, if_absent=True)
    except ObjectExistsError:
        if await state.store.get(key) != document:
            raise ApiProblemError(
                "conflict", f"{body.slug}, attempt {body.attempt}: another snapshot is committed"
            ) from None
    await state.store.delete(_upload_key(attempt_key, body))
    return Response(status_code=204)


def _upload_key(attempt: ArtifactKey, body: models.SnapshotRequest) -> str:
    return attempt.archive(body.digest.removeprefix("sha256:"))


async def _promote_snapshot(state: AppState, attempt: ArtifactKey, body: models.Snapshot) -> None:
    key = _upload_key(attempt, body)
    if await state.store.head(key) is None:
        raise ApiProblemError("conflict", "the snapshot was not uploaded")
    await state.budgets.sources.promise(source_key(attempt.namespace, body.digest), body.size)
    content = verify_chunks(state.store.read(key), body.digest.removeprefix("sha256:"), body.size, magic=GZIP)
    try:
        await state.store.put(source_key(attempt.namespace, body.digest), content, if_absent=True)
    except ObjectExistsError:
        # Another run has stored the same snapshot at the same time.
        return


async def _snapshot_attempt(state: AppState, request: Request, body: models.SnapshotRequest) -> ArtifactKey:
    access = await authorize_agent(state, request, "source", body.slug, body.attempt)
    access.check_clone()
    return access.key
