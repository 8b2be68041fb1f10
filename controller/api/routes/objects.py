"""Serves the signed links of the directory store, which has no server of its own: an S3 store's links lead to S3.

The signature says which object, which method and until when; nothing else opens this door.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from controller.api.auth.permissions import GuardedRoute
from controller.api.http.downloads import served
from controller.api.http.problems import ApiProblem
from controller.api.http.uploads import Upload
from controller.api.state import Services, services_of
from controller.storage import DirectoryStore

router = APIRouter(prefix="/api/v1/objects", tags=["objects"], route_class=GuardedRoute)

Expires = Annotated[int, Query(ge=0)]
Method = Annotated[str, Query(pattern="^(GET|PUT)$")]
Signature = Annotated[str, Query(max_length=200)]


@router.get("/{key:path}", operation_id="getObject", response_class=StreamingResponse)
async def get_object(request: Request, key: str, expires: Expires, method: Method, signature: Signature) -> Response:
    """An object's bytes; ranges are served."""
    services = services_of(request)
    _check(services, "GET", key, expires, method, signature)
    return await served(services.store, key, request.headers.get("range"), "application/octet-stream")


@router.put("/{key:path}", operation_id="putObject", status_code=201, response_class=Response)
async def put_object(request: Request, key: str, expires: Expires, method: Method, signature: Signature) -> Response:
    """Stores the body as the object, whole or not at all."""
    services = services_of(request)
    _check(services, "PUT", key, expires, method, signature)
    upload = Upload(request, services.settings.artifact_limit, services.settings.idle_seconds)
    await services.store.put(key, upload.checked())
    return Response(status_code=201)


def _check(services: Services, expected: str, key: str, expires: int, method: str, signature: str) -> None:
    """Raises a problem unless the link was signed for exactly this; only a directory store signs links to us."""
    store = services.store
    granted = isinstance(store, DirectoryStore) and store.verify(
        key, method=method, expires=expires, signature=signature
    )
    if granted and method == expected:
        return
    raise ApiProblem("link-invalid", "the link is not valid for this object and method, or is over")
