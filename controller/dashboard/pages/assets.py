"""The files that pages load: the stylesheet and the scripts. They hold no data, so anyone may read them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from controller.api.http.problems import ApiProblemError
from controller.dashboard import rendering
from controller.dashboard.page_route import PUBLIC, PageRoute
from controller.dashboard.session import ROOT

router = APIRouter(prefix=f"{ROOT}/static", route_class=PageRoute, include_in_schema=False)


@router.get("/{file}", operation_id=PUBLIC)
async def asset(request: Request, file: str, v: str = "") -> Response:
    """A file. Pages ask for it with its digest as `v`, so that browsers keep it until it changes."""
    found = rendering.assets().get(file)
    if found is None:
        raise ApiProblemError("not-found", "the dashboard has no such file")
    data, media_type = found
    caching = "public, max-age=31536000, immutable" if v else "no-cache"
    return Response(data, media_type=media_type, headers={"Cache-Control": caching})
