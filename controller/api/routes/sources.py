"""Uploaded working trees: stored by the digest of their bytes, verified while they are received.

A body that does not have its announced digest, or is too large, leaves nothing in the store. A source that is stored
already is not read again.
"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.http.uploads import BoundedUpload
from controller.api.models import runs as models
from controller.api.openapi import binary_body
from controller.api.state import get_state

GZIP = b"\x1f\x8b"

router = APIRouter(prefix="/api/v1/namespaces/{ns}/sources", tags=["sources"], route_class=GuardedRoute)


def source_key(namespace: str, digest: str) -> str:
    """The object store's key of the source of a namespace with this digest (`sha256:<hex>`).

    Who knows the digest of a source of another namespace has no access to it, and does not learn that it is stored.
    """
    return f"sources/{namespace}/{digest.removeprefix('sha256:')}.tar.gz"


@router.head("/{digest}", operation_id="headSource", response_class=Response)
async def head_source(request: Request, ns: str, digest: str) -> Response:
    """Whether the source is stored already: 200 or 404."""
    stored = await get_state(request).store.head(source_key(ns, digest))
    if stored is None:
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
    key = source_key(ns, digest)
    stored = await state.store.head(key)
    if stored is not None:
        return JSONResponse({"digest": digest, "size": stored.size}, status_code=201)
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdigit() and len(announced) < 16 else 0
    await state.budgets.sources.promise(key, size)
    left = await state.budgets.sources.left(key)
    limit = state.settings.source_limit if left is None else min(state.settings.source_limit, left)
    upload = BoundedUpload(request, limit, state.settings.idle_seconds, magic=GZIP)
    await state.store.put(key, upload.verified_chunks(digest.removeprefix("sha256:")))
    await state.budgets.sources.commit(key, upload.size)
    return JSONResponse({"digest": digest, "size": upload.size}, status_code=201)
