"""Uploaded working trees: stored by the digest of their bytes, verified while they are received.

A body that does not have its announced digest, or is too large, leaves nothing in the store. A source that is stored
already is not read again.
"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.http.uploads import BoundedUpload, verify_chunks
from controller.api.models import runs as models
from controller.api.namespace_uids import read_namespace_uid
from controller.api.openapi import binary_body
from controller.api.state import AppState, get_state
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
