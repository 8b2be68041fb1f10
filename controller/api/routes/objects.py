"""Serves the signed URLs of the directory store, which has no server of its own; an S3 store's URLs lead to S3.

The signature covers the object, the method, the expiry and, of an upload, its size and digest; it is the only
authorization here.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from controller.api.auth.route import GuardedRoute
from controller.api.http.downloads import object_response
from controller.api.http.problems import ApiProblemError
from controller.api.http.uploads import BoundedUpload
from controller.api.models.common import HEX_DIGEST_PATTERN
from controller.api.openapi import binary_body, binary_response
from controller.api.state import AppState, get_state
from controller.storage import DirectoryStore, Download
from controller.storage.signed_urls import ObjectGrant

router = APIRouter(prefix="/api/v1/objects", tags=["objects"], route_class=GuardedRoute)

Expires = Annotated[int, Query(ge=0)]
Method = Annotated[str, Query(pattern="^(GET|PUT)$")]
Size = Annotated[int, Query(ge=0, description="size of the upload; part of the link")]
Digest = Annotated[str, Query(pattern=HEX_DIGEST_PATTERN, description="SHA-256 of the upload; part of the link")]
Signature = Annotated[str, Query(max_length=200)]
ContentType = Annotated[
    str | None, Query(alias="contentType", max_length=200, description="media type of the response; part of the link")
]
Filename = Annotated[str | None, Query(max_length=1000, description="file name of the response; part of the link")]


@router.get(
    "/{key:path}",
    operation_id="getObject",
    response_class=StreamingResponse,
    responses=binary_response("application/octet-stream"),
)
async def get_object(
    request: Request,
    key: str,
    expires: Expires,
    method: Method,
    signature: Signature,
    content_type: ContentType = None,
    filename: Filename = None,
) -> Response:
    """An object's bytes. Supports ranges."""
    state = get_state(request)
    _check_link(state, ObjectGrant("GET", key, expires, content_type, filename), method, signature)
    media_type = content_type or "application/octet-stream"
    headers = {}
    if filename is not None:
        headers["Content-Disposition"] = Download(media_type, filename).content_disposition
    return await object_response(state.store, key, request.headers.get("range"), media_type, headers)


@router.put(
    "/{key:path}",
    operation_id="putObject",
    status_code=201,
    response_class=Response,
    openapi_extra=binary_body("application/octet-stream"),
)
async def put_object(
    request: Request,
    key: str,
    expires: Expires,
    method: Method,
    signature: Signature,
    size: Size = 0,
    sha256: Digest = "",
) -> Response:
    """Receives exactly the bytes that the link is for, to be committed as an object; or nothing at all."""
    state = get_state(request)
    _check_link(state, ObjectGrant("PUT", key, expires, size=size, sha256=sha256), method, signature)
    upload = BoundedUpload(request, size, state.settings.idle_seconds)
    await state.store.put(key, upload.verified_chunks(sha256, size))
    return Response(status_code=201)


def _check_link(state: AppState, grant: ObjectGrant, method: str, signature: str) -> None:
    """Raises a problem unless the URL was signed for exactly this; only a directory store signs URLs of this API."""
    store = state.store
    if isinstance(store, DirectoryStore) and store.verify(grant, signature) and method == grant.method:
        return
    raise ApiProblemError("link-invalid", "the link is not valid for this object and method, or has expired")
