"""Runs: create, rerun, list, get, cancel, delete.

Lists come from the cache of runs; a single run that is not cached yet is read from Kubernetes.
"""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from controller.api import serializers
from controller.api.artifacts.workspaces import debug_source
from controller.api.auth.authorize import require_permission
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.models import runs as models
from controller.api.routes.sources import keep_source
from controller.api.runs import pagination, validation
from controller.api.runs.computing import compute
from controller.api.runs.create import create_pipeline_run
from controller.api.runs.failed_tests import failed_tests_spec
from controller.api.runs.find import find_run, reread_run
from controller.api.runs.request import Idempotency, NewRun, RunReference, idempotency, merge_params, rerun
from controller.api.state import AppState, get_state
from controller.kube import PIPELINE_CONFIGS, PIPELINE_RUNS, NotFoundError
from controller.pipeline.run_cost import estimate_effort
from controller.provenance import has_full_commit, is_approved
from controller.run_types.phases import FINAL_RUN_PHASES, RunPhase

SortOrder = Literal["-created", "created", "-duration", "duration", "-name", "name"]

Run = dict[str, Any]

log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs", tags=["runs"], route_class=GuardedRoute)


IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="repeating the same key and body returns the same run",
    ),
]


@router.post("", operation_id="createRun", status_code=201, response_model=models.Run)
async def create_run(
    request: Request, ns: str, body: models.RunRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """Creates a run of the pipeline in the body, or of one stored in the namespace."""
    user = request.state.user.name
    key = idempotency(idempotency_key, user, "", body)
    definition = await _definition(request, ns, body)
    validated = await compute(
        get_state(request),
        estimate_effort(definition, body.params, body.changed_files),
        validation.validate_run,
        dict(definition),
        body.params,
        branch=body.branch,
        commit=body.commit,
        changed_files=body.changed_files,
    )
    reuse_from, failed_tests = None, None
    if body.failed_tests_of is not None:
        if body.reuse_from not in (None, body.failed_tests_of):
            raise ApiProblemError("invalid", "failedTestsOf and reuseFrom name different runs: give one of them")
        found = await find_run(get_state(request), ns, body.failed_tests_of)
        failed_tests, reuse_from = failed_tests_spec(found, validated[0]), RunReference.of(found)
    elif body.reuse_from is not None:
        reuse_from = RunReference.of(await find_run(get_state(request), ns, body.reuse_from))
    new = NewRun.from_request(body, validated, user, reuse_from, failed_tests)
    return await _create_response(get_state(request), ns, new, key)


@router.post("/{run}/rerun", operation_id="rerunRun", status_code=201, response_model=models.Run)
async def rerun_run(
    request: Request, ns: str, run: str, body: models.RerunRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """Runs the same pipeline, source and parameters again, or only what failed; the run must have ended."""
    state = get_state(request)
    user = request.state.user.name
    await require_permission(request, "get", "pipelineruns", ns, name=run)
    key = idempotency(idempotency_key, user, run, body)
    found = await find_run(state, ns, run)
    if serializers.phase_of(found) not in FINAL_RUN_PHASES:
        raise ApiProblemError(
            "conflict", f"the run {run} has not ended yet ({serializers.phase_of(found)}); cancel it or wait"
        )
    if debug_source(found) is not None:
        raise ApiProblemError("conflict", f"the run {run} is a copy of a failed step, which can't be run again")
    definition = body.pipeline or (found.get("spec") or {}).get("pipeline")
    if not definition:
        raise ApiProblemError("conflict", f"the run {run} has no pipeline to run again")
    if body.keep_on_failure:
        definition = {**definition, "keepOnFailure": True}
    params = merge_params(found, definition, body.params)
    spec = found.get("spec") or {}
    validated = await compute(
        state,
        estimate_effort(definition, params, spec.get("changedFiles")),
        validation.validate_run,
        dict(definition),
        params,
        branch=spec.get("branch"),
        commit=spec.get("commit"),
        changed_files=spec.get("changedFiles"),
    )
    failed_tests = failed_tests_spec(found, validated[0]) if body.failed_tests else None
    return await _create_response(state, ns, rerun(found, body, validated, user, failed_tests), key)


async def _definition(request: Request, namespace: str, body: models.RunRequest) -> Mapping[str, Any]:
    """The pipeline in the body, or the one that it names, which the caller must be permitted to read."""
    if (body.pipeline is None) == (body.pipeline_ref is None):
        problem = problem_entry("run.pipeline", "give either pipeline or pipelineRef", path="pipeline")
        raise ApiProblemError("invalid", "a run is of either a pipeline or a pipelineRef", [problem])
    if body.pipeline is not None:
        return body.pipeline
    name = str(body.pipeline_ref)
    await require_permission(request, "get", "pipelineconfigs", namespace, name=name)
    try:
        config = await get_state(request).client.get(PIPELINE_CONFIGS, name, namespace=namespace)
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no pipeline {name} in the namespace {namespace}") from None
    return dict(serializers.serialize_pipeline(config)["definition"])


async def _create_response(state: AppState, namespace: str, new: NewRun, key: Idempotency | None) -> Response:
    digest = new.source_digest
    if digest is not None and not await keep_source(state, namespace, digest):
        raise ApiProblemError("source-missing", f"the source {digest} is not in the store: upload it first")
    run, is_new = await create_pipeline_run(state, namespace, new, key)
    if is_new:
        fields = {"namespace": namespace, "run": run["metadata"]["name"], "user": new.user}
        log.info("run created", extra=fields)
    headers = {"Location": f"/api/v1/namespaces/{namespace}/runs/{run['metadata']['name']}"}
    return JSONResponse(serializers.serialize_run(run, definition=True), status_code=201, headers=headers)


@router.get("", operation_id="listRuns", response_model=models.RunList)
async def list_runs(
    request: Request,
    ns: str,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    continue_: Annotated[str | None, Query(alias="continue", max_length=1000)] = None,
    phase: Annotated[list[RunPhase] | None, Query(description="repeat it for several", max_length=6)] = None,
    pipeline: Annotated[str | None, Query(max_length=63)] = None,
    branch: Annotated[str | None, Query(max_length=255)] = None,
    since: Annotated[
        str | None, Query(pattern=models.TIME_PATTERN, description="created at or after this time")
    ] = None,
    text: Annotated[str, Query(max_length=200, description="part of the name, branch, commit or trigger")] = "",
    copies: Annotated[bool, Query(description="include debug copies of failed steps")] = True,
    watched: Annotated[
        bool | None, Query(description="only runs that were started because a file was saved, or only others")
    ] = None,
    sort: Annotated[SortOrder, Query(description="a leading - is descending")] = "-created",
) -> Response:
    """One page of runs, newest first unless `sort` says otherwise."""
    state = get_state(request)
    await _require_synced_cache(state)
    start = pagination.parse_time(since) if since is not None else None
    if since is not None and start is None:
        raise ApiProblemError("bad-request", "since is not a valid time; write it like 2026-01-31T12:00:00Z")
    wanted = pagination.RunFilter(frozenset(phase or ()), pipeline, branch, start, text, copies, watched)
    version = state.watch_cache.latest
    page = pagination.paginate(
        state.runs.list(ns), wanted, order=sort, limit=limit, after=continue_, now=state.wall_clock()
    )
    response: Run = {
        "items": [serializers.serialize_run(run, definition=False) for run in page.items],
        "resourceVersion": str(version),
    }
    if page.next is not None:
        response["continue"] = page.next
    return JSONResponse(response)


@router.get("/{run}", operation_id="getRun", response_model=models.Run)
async def get_run(request: Request, ns: str, run: str) -> Response:
    """One run, with its pipeline."""
    return JSONResponse(serializers.serialize_run(await find_run(get_state(request), ns, run), definition=True))


@router.post("/{run}/cancel", operation_id="cancelRun", status_code=202, response_model=models.Run)
async def cancel_run(request: Request, ns: str, run: str) -> Response:
    """Requests cancellation; pods and logs are kept. Repeated calls have no further effect."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    if serializers.phase_of(found) in FINAL_RUN_PHASES:
        raise ApiProblemError("conflict", f"the run {run} has ended already ({serializers.phase_of(found)})")
    patch = {"spec": {"cancel": True}, "metadata": {"uid": found["metadata"]["uid"]}}
    changed = await state.client.patch(PIPELINE_RUNS, run, patch, namespace=ns)
    log.info("run cancelled", extra={"namespace": ns, "run": run, "user": request.state.user.name})
    return JSONResponse(serializers.serialize_run(changed, definition=True), status_code=202)


@router.post("/{run}/approve", operation_id="approveRun", status_code=202, response_model=models.Run)
async def approve_run(request: Request, ns: str, run: str, body: models.ApprovalRequest | None = None) -> Response:
    """Lets the run of a stranger's pull request start, on its commit only. Repeated calls have no further effect.

    An approval holds for a day. With `commit`, a run of another commit is not approved.
    """
    state, user = get_state(request), request.state.user.name
    found = await reread_run(state, await find_run(state, ns, run))
    if not ((found.get("spec") or {}).get("trigger") or {}).get("needsApproval"):
        raise ApiProblemError("conflict", f"the run {run} needs no approval")
    if serializers.phase_of(found) in FINAL_RUN_PHASES:
        raise ApiProblemError("conflict", f"the run {run} has ended already ({serializers.phase_of(found)})")
    if not has_full_commit(found):
        raise ApiProblemError("conflict", f"the run {run} does not name its commit in full, so that it may change")
    commit = str(found["spec"]["commit"])
    if body is not None and body.commit is not None and not commit.startswith(body.commit.lower()):
        raise ApiProblemError("conflict", f"the run {run} is of the commit {commit}, not of {body.commit}")
    if not is_approved(state.creator_proofs.key, found, state.wall_clock()):
        patch = {
            "spec": {"approved": state.creator_proofs.approve(found, user)},
            "metadata": {"uid": found["metadata"]["uid"]},
        }
        found = await state.client.patch(PIPELINE_RUNS, run, patch, namespace=ns)
        log.info("run approved", extra={"namespace": ns, "run": run, "user": user})
    return JSONResponse(serializers.serialize_run(found, definition=True), status_code=202)


@router.delete("/{run}", operation_id="deleteRun", status_code=204, response_class=Response)
async def delete_run(request: Request, ns: str, run: str) -> Response:
    """Deletes the run and ends its processes; the archive of its logs is kept."""
    await get_state(request).client.delete(PIPELINE_RUNS, run, namespace=ns)
    log.info("run deleted", extra={"namespace": ns, "run": run, "user": request.state.user.name})
    return Response(status_code=204)


async def _require_synced_cache(state: AppState) -> None:
    if not state.watch_cache.is_synced:
        raise ApiProblemError(
            "unavailable",
            "the runs are not loaded yet; see /readyz",
            headers={"Retry-After": "1"},
        )
