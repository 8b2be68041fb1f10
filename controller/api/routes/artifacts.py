"""Artifacts of steps: the list is in the run's status, the bytes are in the object store."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from controller.api.artifacts.archive import TAR_OVERHEAD, read_file
from controller.api.artifacts.keys import MAX_MANIFEST_BYTES, ArtifactSet, committed_artifacts, find_step
from controller.api.auth.permissions import HANDLER_TIMEOUT
from controller.api.auth.route import GuardedRoute
from controller.api.http.downloads import object_response
from controller.api.http.problems import ApiProblemError
from controller.api.models import runs as models
from controller.api.openapi import binary_response, redirect_response
from controller.api.routes.runs import find_run
from controller.api.state import AppState, get_state

Redirect = Annotated[bool, Query(description="redirect to a signed URL of the bytes (302)")]

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}/artifacts", tags=["artifacts"], route_class=GuardedRoute)


@router.get("", operation_id="listArtifacts", response_model=models.ArtifactList)
async def list_artifacts(request: Request, ns: str, run: str) -> Response:
    """All artifacts of the run, by step."""
    found = await find_run(get_state(request), ns, run)
    items = [
        {"step": step["slug"], "path": file["path"], "size": file["size"], "sha256": file["sha256"]}
        for step in (found.get("status") or {}).get("steps") or ()
        for file in step.get("artifacts") or ()
    ]
    return JSONResponse({"items": items})


@router.get(
    "/{step}",
    operation_id="getArtifacts",
    response_class=StreamingResponse,
    responses=binary_response("application/gzip") | redirect_response(),
)
async def get_artifacts(request: Request, ns: str, run: str, step: str, redirect: Redirect = False) -> Response:
    """A step's artifacts as one tar.gz, from its last attempt that stored some. Supports ranges."""
    state = get_state(request)
    status, stored = await _find_artifacts(state, ns, run, step)
    if redirect:
        return RedirectResponse(await state.signed_url("GET", stored.archive_key, external=True), 302)
    # Names in it are DNS labels, so the header can't be broken out of.
    filename = f"{run}-{status['slug']}.tar.gz"
    headers = {"ETag": f'"{stored.sha256}"', "Content-Disposition": f'attachment; filename="{filename}"'}
    return await object_response(
        state.store, stored.archive_key, request.headers.get("range"), "application/gzip", headers
    )


@router.get(
    "/{step}/files/{path:path}",
    operation_id="getArtifactFile",
    response_class=StreamingResponse,
    responses=binary_response("application/octet-stream"),
)
async def get_artifact_file(request: Request, ns: str, run: str, step: str, path: str) -> Response:
    """One file of a step's artifacts."""
    state = get_state(request)
    _, stored = await _find_artifacts(state, ns, run, step)
    files = json.loads(await state.store.get(stored.key.manifest, limit=MAX_MANIFEST_BYTES))["files"]
    file = next((each for each in files if each["path"] == path), None)
    if file is None:
        raise ApiProblemError("not-found", "the step has no such artifact")
    limit = sum(int(each["size"]) + TAR_OVERHEAD for each in files) + TAR_OVERHEAD
    pieces = read_file(state.store.read(stored.archive_key), path, int(file["size"]), limit)
    # Wait for the first chunk: an archive that can't be read must not start as a 200.
    async with asyncio.timeout(HANDLER_TIMEOUT):
        first = await anext(pieces, b"")
    headers = {
        "Content-Length": str(file["size"]),
        "ETag": f'"{file["sha256"]}"',
        "Content-Disposition": "attachment; filename*=UTF-8''" + quote(path.rpartition("/")[2], safe=""),
    }
    return StreamingResponse(_prepend(first, pieces), headers=headers, media_type="application/octet-stream")


async def _find_artifacts(state: AppState, ns: str, run: str, step: str) -> tuple[Mapping[str, Any], ArtifactSet]:
    found = await find_run(state, ns, run)
    status = find_step(found, step)
    if status is None:
        raise ApiProblemError("not-found", f"the run {run} has no such step")
    stored = await committed_artifacts(state.store, found, status)
    if stored is None:
        raise ApiProblemError("not-found", f"the step {status['slug']} of {run} has no artifacts (yet)")
    return status, stored


async def _prepend(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(rest):
        yield first
        async for piece in rest:
            yield piece
