"""Runs: create, list, get, cancel, delete. Lists come from the cache; what a caller just wrote is read back at once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from controller.api import creation, definitions, models, views
from controller.api.access import GuardedRoute
from controller.api.numbers import run_name, take_number
from controller.api.problems import ApiProblem, entry
from controller.api.services import Services, Turn, services_of
from controller.api.sources import source_key
from controller.kube import PIPELINE_RUNS, AlreadyExists, ApiError, NotFound

NAME_ATTEMPTS = 5
PHASES = frozenset({"Pending", "Queued", "Running", "Succeeded", "Failed", "Cancelled"})
ENDED = frozenset({"Succeeded", "Failed", "Cancelled"})

Run = dict[str, Any]

log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs", tags=["runs"], route_class=GuardedRoute)


@router.post("", operation_id="createRun", status_code=201, response_model=models.Run)
async def create_run(
    request: Request,
    ns: str,
    body: models.RunRequest,
    idempotency_key: Annotated[str | None, Header(description="the same key and body answer the same run")] = None,
) -> Response:
    """Creates a run of the pipeline in the body."""
    services = services_of(request)
    user = request.state.user.name
    key = creation.idempotency(idempotency_key, user, body)
    digest = creation.check_source(body)
    definition, params = await asyncio.to_thread(definitions.checked, body.pipeline, body.params)
    if digest is not None and await services.store.head(source_key(digest)) is None:
        raise ApiProblem("source-missing", f"the source {digest} is not in the store: upload it first")
    async with _one_at_a_time(services, ns, key):
        run = await _created_before(services, ns, key) if key is not None else None
        if run is None:
            run = await _create(services, ns, body, definition, params, user, key)
            log.info("run created", extra={"namespace": ns, "run": run["metadata"]["name"], "user": user})
    headers = {"Location": f"/api/v1/namespaces/{ns}/runs/{run['metadata']['name']}"}
    return JSONResponse(views.run_view(run, definition=True), status_code=201, headers=headers)


@router.get("", operation_id="listRuns", response_model=models.RunList)
async def list_runs(
    request: Request,
    ns: str,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    continue_: Annotated[str | None, Query(alias="continue", max_length=1000)] = None,
    phase: Annotated[list[str] | None, Query(description="repeat it for several", max_length=6)] = None,
    pipeline: Annotated[str | None, Query(max_length=63)] = None,
) -> Response:
    """One page of runs, newest first."""
    services = services_of(request)
    phases = set(phase or ())
    if phases - PHASES:
        raise ApiProblem("bad-request", f"a phase is one of {', '.join(sorted(PHASES))}")
    await _cache_is_there(services)
    version = services.history.latest
    page = views.page(services.runs.list(ns), limit=limit, after=continue_, phases=phases, pipeline=pipeline)
    answer: Run = {
        "items": [views.run_view(run, definition=False) for run in page.items],
        "resourceVersion": str(version),
    }
    if page.next is not None:
        answer["continue"] = page.next
    return JSONResponse(answer)


@router.get("/{run}", operation_id="getRun", response_model=models.Run)
async def get_run(request: Request, ns: str, run: str) -> Response:
    """One run, with its pipeline."""
    return JSONResponse(views.run_view(await find_run(services_of(request), ns, run), definition=True))


@router.post("/{run}/cancel", operation_id="cancelRun", status_code=202, response_model=models.Run)
async def cancel_run(request: Request, ns: str, run: str) -> Response:
    """Asks for the run's end; its pods and logs are kept. Cancelling twice is the same as once."""
    services = services_of(request)
    found = await find_run(services, ns, run)
    if views.phase_of(found) in ENDED:
        raise ApiProblem("conflict", f"the run {run} has ended already ({views.phase_of(found)})")
    patch = {"spec": {"cancel": True}, "metadata": {"uid": found["metadata"]["uid"]}}
    changed = await services.client.patch(PIPELINE_RUNS, run, patch, namespace=ns)
    log.info("run cancelled", extra={"namespace": ns, "run": run, "user": request.state.user.name})
    return JSONResponse(views.run_view(changed, definition=True), status_code=202)


@router.delete("/{run}", operation_id="deleteRun", status_code=204, response_class=Response)
async def delete_run(request: Request, ns: str, run: str) -> Response:
    """Deletes the run: its processes end; the archive of its logs is kept."""
    await services_of(request).client.delete(PIPELINE_RUNS, run, namespace=ns)
    log.info("run deleted", extra={"namespace": ns, "run": run, "user": request.state.user.name})
    return Response(status_code=204)


async def find_run(services: Services, namespace: str, name: str) -> Mapping[str, Any]:
    """The run from the cache, or from Kubernetes when the cache may lag behind its creation; a
    problem 404 when there is none.
    """
    cached = services.runs.get(namespace, name)
    if cached is not None:
        return cached
    try:
        return await services.client.get(PIPELINE_RUNS, name, namespace=namespace)
    except NotFound:
        raise ApiProblem("not-found", f"there is no run {name} in the namespace {namespace}") from None


async def _create(
    services: Services,
    namespace: str,
    body: models.RunRequest,
    definition: Run,
    params: Mapping[str, str],
    user: str,
    key: creation.Idempotency | None,
) -> Run:
    pipeline = str(definition["name"])
    known = (views.run_number(run) or 0 for run in services.runs.list(namespace) if views.pipeline_of(run) == pipeline)
    at_least = max(known, default=0) + 1
    for _ in range(NAME_ATTEMPTS):
        number = await take_number(services.client, namespace, pipeline, at_least)
        name = run_name(pipeline, number)
        run = creation.run_object(namespace, name, number, body, definition, params, user, key)
        try:
            return await services.client.create(PIPELINE_RUNS, run, namespace=namespace)
        except AlreadyExists:
            at_least = number + 1
        except ApiError as error:
            raise _refused(error) from error
    raise ApiProblem("conflict", f"no free name was found for a run of {pipeline}; try again")


def _refused(error: ApiError) -> Exception:
    """Kubernetes' own checks of a run (its schema, a quota) are the caller's business; the rest is ours."""
    causes = error.details.get("causes")
    listed = [each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []
    entries = [
        entry("run.refused", str(each.get("message", "")), path=str(each.get("field", ""))) for each in listed[:50]
    ]
    if error.status == 422:
        return ApiProblem("pipeline-invalid", "Kubernetes does not take the run: it does not fit the schema", entries)
    if error.status == 404:
        return ApiProblem("not-found", "there is no such namespace")
    return error


async def _created_before(services: Services, namespace: str, key: creation.Idempotency) -> Run | None:
    """The run that this key made before, asked of Kubernetes itself: the cache may lag, and memory ends with
    the process.
    """
    found = await services.client.list(
        PIPELINE_RUNS, namespace=namespace, label_selector=f"{creation.KEY_LABEL}={key.key}"
    )
    for run in found["items"]:
        if not creation.same_request(run, key):
            raise ApiProblem("idempotency-key-reused", "this Idempotency-Key came with another request before")
        return dict(run)
    return None


@asynccontextmanager
async def _one_at_a_time(services: Services, namespace: str, key: creation.Idempotency | None) -> AsyncIterator[None]:
    """Two requests with one key wait for each other; requests without a key don't."""
    if key is None:
        yield
        return
    turn = services.turns.setdefault((namespace, key.key), Turn())
    turn.wanted_by += 1
    try:
        async with turn.lock:
            yield
    finally:
        turn.wanted_by -= 1
        if turn.wanted_by == 0:
            del services.turns[(namespace, key.key)]


async def _cache_is_there(services: Services) -> None:
    if not services.history.begun:
        raise ApiProblem(
            "unavailable",
            "the runs are not read yet; /readyz says what is waited for",
            headers={"Retry-After": "1"},
        )
