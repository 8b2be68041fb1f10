"""Artifacts of steps: the bytes and the lists of files are in the object store; a run's status only counts them."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from controller.api.artifacts.archive import TAR_OVERHEAD, read_file
from controller.api.artifacts.keys import ArtifactSet, committed_artifacts, find_step, stored_manifests
from controller.api.artifacts.manifest import read_files
from controller.api.auth.permissions import HANDLER_TIMEOUT
from controller.api.auth.route import GuardedRoute
from controller.api.http.downloads import object_response, verify_digest
from controller.api.http.file_paths import FILE_PATH
from controller.api.http.problems import ApiProblemError
from controller.api.models import runs as models
from controller.api.openapi import binary_response, redirect_response
from controller.api.runs.find import find_run
from controller.api.state import AppState, get_state
from controller.storage import Download
from controller.storage.errors import BrokenArchiveError

Redirect = Annotated[bool, Query(description="redirect to a signed URL of the bytes (302)")]

MAX_PAGE = 10_000
_log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}/artifacts", tags=["artifacts"], route_class=GuardedRoute)


@router.get("", operation_id="listArtifacts", response_model=models.ArtifactList)
async def list_artifacts(
    request: Request,
    ns: str,
    run: str,
    step: Annotated[str | None, Query(max_length=253, description="only those of this step")] = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_PAGE, description="at most this many files; default: all")] = None,
    continue_: Annotated[
        str | None, Query(alias="continue", max_length=200, description="`continue` of the page before")
    ] = None,
) -> Response:
    """All artifacts of the run, by step, or one page of them."""
    state = get_state(request)
    manifests = await stored_manifests(state.store, await find_run(state, ns, run))
    manifests = [each for each in manifests if step in (None, each[0])]
    start = 0
    if continue_ is not None:
        slug, start = _parse_token(continue_)
        slugs = [each[0] for each in manifests]
        if slug not in slugs:
            raise ApiProblemError("bad-request", "`continue` is of another list")
        manifests = manifests[slugs.index(slug) :]
    pieces = _encode_list(state, manifests, start, limit)
    # Wait for the first chunk: a list that can't be read must not start as a 200.
    first = await anext(pieces, b"")
    return StreamingResponse(_prepend(first, pieces), media_type="application/json")


async def _encode_list(
    state: AppState, manifests: Sequence[tuple[str, str]], start: int, limit: int | None
) -> AsyncGenerator[bytes, None]:
    """The response in pieces: a list can have some 30 MB for each step. `start` is a position in the first manifest."""
    separator, left = b'{"items":[', limit
    token: str | None = None
    for slug, key in manifests:
        if left == 0:
            token = f"{slug}:0"
            break
        try:
            async for files, end in read_files(state.store, key, start, left):
                items = [
                    {"step": slug} | {field: file[field] for field in ("path", "size", "sha256")} for file in files
                ]
                yield separator + json.dumps(items, separators=(",", ":")).encode()[1:-1]
                separator = b","
                if left is not None:
                    left -= len(items)
                token = f"{slug}:{end}" if left == 0 else None
        except BrokenArchiveError as error:
            if len(manifests) == 1:
                raise
            # The artifacts of the other steps can be read.
            _log.warning("the artifacts of %s can't be listed: %s", slug, error)
        start = 0
    more = b',"continue":' + json.dumps(token).encode() if token is not None else b""
    yield (separator if separator != b"," else b"") + b"]" + more + b"}"


def _parse_token(token: str) -> tuple[str, int]:
    """The slug of a step and a position in its manifest. Raises a problem."""
    slug, _, position = token.partition(":")
    if not (position.isascii() and position.isdigit() and len(position) < 12):
        raise ApiProblemError("bad-request", "`continue` is not one of this API")
    return slug, int(position)


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
    filename = f"{run}-{status['slug']}.tar.gz"
    if redirect:
        download = Download("application/gzip", filename)
        return RedirectResponse(await state.signed_url(stored.archive_key, external=True, download=download), 302)
    # Names in it are DNS labels, so the header can't be broken out of.
    headers = {"ETag": f'"{stored.sha256}"', "Content-Disposition": f'attachment; filename="{filename}"'}
    return await object_response(
        state.store, stored.archive_key, request.headers.get("range"), "application/gzip", headers, stored.sha256
    )


@router.get(
    f"/{{step}}/files/{FILE_PATH}",
    operation_id="getArtifactFile",
    response_class=StreamingResponse,
    responses=binary_response("application/octet-stream"),
)
async def get_artifact_file(request: Request, ns: str, run: str, step: str, path: str) -> Response:
    """One file of a step's artifacts."""
    state = get_state(request)
    _, stored = await _find_artifacts(state, ns, run, step)
    file, limit = None, TAR_OVERHEAD
    async for files, _ in read_files(state.store, stored.key.manifest):
        file = file or next((each for each in files if each["path"] == path), None)
        limit += sum(int(each["size"]) + TAR_OVERHEAD for each in files)
    if file is None:
        raise ApiProblemError("not-found", "the step has no such artifact")
    content = read_file(state.store.read(stored.archive_key), path, int(file["size"]), limit)
    pieces = verify_digest(content, file["sha256"])
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
