"""The files that steps left: the list is in the run's status, the bytes are in the object store."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from controller.api import byterange, models
from controller.api.access import GuardedRoute
from controller.api.artifact_keys import committed, step_of
from controller.api.problems import ApiProblem
from controller.api.runs import find_run
from controller.api.services import services_of

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}/artifacts", tags=["artifacts"], route_class=GuardedRoute)


@router.get("", operation_id="listArtifacts", response_model=models.ArtifactList)
async def list_artifacts(request: Request, ns: str, run: str) -> Response:
    """Every file that the run's steps left, by step."""
    found = await find_run(services_of(request), ns, run)
    items = [
        {"step": step["slug"], "path": file["path"], "size": file["size"], "sha256": file["sha256"]}
        for step in (found.get("status") or {}).get("steps") or ()
        for file in step.get("artifacts") or ()
    ]
    return JSONResponse({"items": items})


@router.get("/{step}", operation_id="getArtifacts", response_class=StreamingResponse)
async def get_artifacts(request: Request, ns: str, run: str, step: str) -> Response:
    """A step's files as one tar.gz, of its last attempt that committed some; ranges are served."""
    services = services_of(request)
    found = await find_run(services, ns, run)
    status = step_of(found, step)
    if status is None:
        raise ApiProblem("not-found", f"the run {run} has no such step")
    stored = await committed(services.store, found, status)
    if stored is None:
        raise ApiProblem("not-found", f"the step {status['slug']} of {run} has left no artifacts (yet)")
    part = byterange.wanted(request.headers.get("range"), stored.size)
    # Names in it are DNS labels, so the header can't be broken out of.
    filename = f"{run}-{status['slug']}.tar.gz"
    headers = {
        **part.headers(),
        "ETag": f'"{stored.sha256}"',
        "Content-Disposition": f'attachment; filename="{filename}"',
    }
    body = services.store.read(stored.key, part.start, part.stop)
    return StreamingResponse(body, status_code=part.status, headers=headers, media_type="application/gzip")
