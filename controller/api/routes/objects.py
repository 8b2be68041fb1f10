"""Serves the signed URLs of the directory store, which has no server of its own; an S3 store's URLs lead to S3.

The signature covers the object, the method and the expiry; it is the only authorization here.
"""

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from controller.api.auth.route import GuardedRoute
from controller.api.http.downloads import object_response
from controller.api.http.problems import ApiProblemError
from controller.api.http.uploads import BoundedUpload
from controller.api.openapi import binary_body, binary_response
from controller.api.state import AppState, get_state
from controller.storage import DirectoryStore, Download
from controller.storage.signed_urls import SignedOptions

# The keys of archives contain their digest: other bytes under such a key are refused.
_DIGEST_IN_KEY = re.compile(r"\.([0-9a-f]{64})\.tar\.gz\Z")

router = APIRouter(prefix="/api/v1/objects", tags=["objects"], route_class=GuardedRoute)

Expires = Annotated[int, Query(ge=0)]
Method = Annotated[str, Query(pattern="^(GET|PUT)$")]
Signature = Annotated[str, Query(max_length=200)]
ContentType = Annotated[
    str | None, Query(alias="contentType", max_length=200, description="media type of the response; part of the link")
]
Filename = Annotated[str | None, Query(max_length=1000, description="file name of the response; part of the link")]
Size = Annotated[int | None, Query(ge=0, description="the only size that the upload may have; part of the link")]


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
    options = SignedOptions(content_type, filename)
    _check_link(state, "GET", key, expires, method, signature, options)
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
    request: Request, key: str, expires: Expires, method: Method, signature: Signature, size: Size = None
) -> Response:
    """Stores the body as the object, completely or not at all."""
    state = get_state(request)
    _check_link(state, "PUT", key, expires, method, signature, SignedOptions(size=size))
    if size is not None and request.headers.get("content-length") != str(size):
        raise ApiProblemError("link-invalid", f"the link is for an upload of {size} bytes, with a Content-Length")
    upload = BoundedUpload(request, state.settings.artifact_limit, state.settings.idle_seconds)
    named = _DIGEST_IN_KEY.search(key)
    await state.store.put(key, upload.verified_chunks(named[1] if named else None))
    return Response(status_code=201)


def _check_link(
    state: AppState, expected: str, key: str, expires: int, method: str, signature: str, options: SignedOptions
) -> None:
    """Raises a problem unless the URL was signed for exactly this; only a directory store signs URLs of this API."""
    store = state.store
    granted = isinstance(store, DirectoryStore) and store.verify(
        key, method=method, expires=expires, signature=signature, options=options
    )
    if granted and method == expected:
        return
    raise ApiProblemError("link-invalid", "the link is not valid for this object and method, or has expired")
