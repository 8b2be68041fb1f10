"""Uploaded working trees: stored by the digest of their bytes, verified while they are received.

A body that does not have its announced digest, or is too large, leaves nothing in the store. A source that is stored
already is not read again.
"""

import contextlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.http.source_delta import MAX_HEAD_BYTES, DeltaBody
from controller.api.http.uploads import BoundedUpload, verify_chunks
from controller.api.models import runs as models
from controller.api.namespace_uids import read_namespace_uid
from controller.api.openapi import binary_body
from controller.api.state import AppState, get_state
from controller.operator.effects.source_files import UnknownFilesError
from controller.run_types.patterns import DIGEST_PATTERN
from controller.storage import ObjectNotFoundError
from controller.storage.sources import SourceId, find_source, period_at

GZIP = b"\x1f\x8b"

router = APIRouter(prefix="/api/v1/namespaces/{ns}/sources", tags=["sources"], route_class=GuardedRoute)


@router.head("/{digest}", operation_id="headSource", response_class=Response)
async def head_source(request: Request, ns: str, digest: str) -> Response:
    """Whether the source is stored already, and may be used: 200 or 404."""
    state = get_state(request)
    stored = await find_source(state.store, await _source(state, ns, digest), state.utc_now())
    if stored is None or not stored.is_usable:
        raise ApiProblemError("not-found", f"the source {digest} is not stored")
    return Response(status_code=200)


@router.put(
    "/{digest}",
    operation_id="putSource",
    status_code=201,
    response_model=models.StoredSource,
    openapi_extra=binary_body("application/gzip"),
)
async def put_source(request: Request, ns: str, digest: str) -> Response:
    """Stores a tar.gz under its digest. If it is stored already, the body is not read."""
    state = get_state(request)
    source = await _source(state, ns, digest)
    stored = await find_source(state.store, source, state.utc_now())
    if stored is not None and stored.is_usable:
        return JSONResponse({"digest": digest, "size": stored.size}, status_code=201)
    key, announced = source.key(period_at(state.utc_now())), request.headers.get("content-length", "")
    size = int(announced) if announced.isdigit() and len(announced) < 16 else 0
    await state.budgets.sources.promise(key, size)
    left = await state.budgets.sources.left(key)
    limit = state.settings.source_limit if left is None else min(state.settings.source_limit, left)
    upload = BoundedUpload(request, limit, state.settings.idle_seconds, magic=GZIP)
    await state.store.put(key, upload.verified_chunks(source.sha256))
    try:
        await state.budgets.sources.commit(key, upload.size)
    except ApiProblemError:
        await state.store.delete(key)
        raise
    return JSONResponse({"digest": digest, "size": upload.size}, status_code=201)


@router.put(
    "/{digest}/delta",
    operation_id="putSourceDelta",
    status_code=201,
    response_model=models.StoredSource,
    openapi_extra=binary_body("application/octet-stream"),
)
async def put_source_delta(
    request: Request,
    ns: str,
    digest: str,
    base: Annotated[str, Query(pattern=DIGEST_PATTERN, description="digest of a stored source")],
    listed: Annotated[
        bool, Query(description="also list its files now, so that a run on it knows sooner what it can reuse")
    ] = False,
) -> Response:
    """Stores a tar.gz that is made of pieces of a stored one and of new bytes.

    The body is a line of JSON, `{"pieces": [{"from": 0, "size": 100}, {"size": 20}]}`, and the bytes of the pieces
    without `from`. The others are copied from the source `base`, from this offset. 404 if that is not stored.
    """
    state = get_state(request)
    source = await _source(state, ns, digest)
    stored = await find_source(state.store, source, state.utc_now())
    if stored is not None and stored.is_usable:
        return JSONResponse({"digest": digest, "size": stored.size}, status_code=201)
    other = await find_source(state.store, await _source(state, ns, base), state.utc_now())
    if other is None:
        raise ApiProblemError("not-found", f"the source {base} is not stored")
    key = source.key(period_at(state.utc_now()))
    upload = BoundedUpload(request, state.settings.source_limit + MAX_HEAD_BYTES, state.settings.idle_seconds)
    body = DeltaBody(upload.verified_chunks())
    pieces = await body.read_pieces(other.size)
    size = sum(piece.size for piece in pieces)
    if size > state.settings.source_limit:
        raise ApiProblemError(
            "too-large", f"the source would have {size} bytes: {state.settings.source_limit} are allowed"
        )
    await state.budgets.sources.promise(key, size)
    whole = verify_chunks(body.assemble(state.store, other.key, pieces), source.sha256, size, magic=GZIP)
    try:
        await state.store.put(key, whole)
    except ObjectNotFoundError:
        raise ApiProblemError("not-found", f"the source {base} is not stored any more") from None
    try:
        await state.budgets.sources.commit(key, size)
    except ApiProblemError:
        await state.store.delete(key)
        raise
    if listed:
        # A run on it says why, if they can't be listed.
        with contextlib.suppress(UnknownFilesError):
            await state.source_files.load(ns, digest)
    return JSONResponse({"digest": digest, "size": size}, status_code=201)


async def keep_source(state: AppState, namespace: str, digest: str) -> bool:
    """Whether a source is stored. One that a sweep could delete soon is stored again, so that a run may use it."""
    source = await _source(state, namespace, digest)
    stored = await find_source(state.store, source, state.utc_now())
    if stored is None or stored.is_usable:
        return stored is not None
    copy = verify_chunks(state.store.read(stored.key), source.sha256, stored.size, magic=GZIP)
    try:
        await state.store.put(source.key(period_at(state.utc_now())), copy)
    except ObjectNotFoundError:
        return False
    return True


async def _source(state: AppState, namespace: str, digest: str) -> SourceId:
    return SourceId(namespace, await read_namespace_uid(state, namespace), digest.removeprefix("sha256:"))
