"""Reports of tests: the agent of a step sends what the step wrote, and gets the tests that are to be run again.

Reports are read in a process of its own, with limits: strangers write them. What is stored is masked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.keys import find_step
from controller.api.artifacts.secret_names import secret_values
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.namespace_uids import namespace_uid_of
from controller.api.openapi import binary_body
from controller.api.routes.agent.access import AttemptAccess, authorize_agent
from controller.api.runs.find import reread_run
from controller.api.state import AppState, get_state
from controller.operator.decision.inputs.reuse import source_identity
from controller.operator.run_object import as_run, is_from_fork
from controller.run_numbers import pipeline_of
from controller.run_types.keys import AttemptKey
from controller.run_types.order import number_of
from controller.storage import ObjectExistsError
from controller.test_results.compile import CompiledTests, compile_reports, problem_document
from controller.test_results.documents import TestsKey, failed_tests, read_document
from controller.test_results.history import Header, encode_outcomes, outcomes_key, outcomes_prefix, surplus_keys
from controller.worker import WorkLimitError

Json = dict[str, Any]

_STATUS_TRIES, _STATUS_INTERVAL = 10, 0.3
"""How often, and every how many seconds, the run is read until its status has the attempt."""

router = APIRouter(prefix="/api/v1/agent/tests", tags=["agent"], route_class=GuardedRoute)


@router.get("/failed", operation_id="agentFailedTests", response_model=models.FailedTestNames)
async def agent_failed_tests(request: Request) -> Response:
    """The tests that the step is to run again, of a run that runs only those that failed."""
    state = get_state(request)
    access = await authorize_agent(state, request, "step")
    origin = _origin(access)
    if origin is None:
        raise ApiProblemError("not-found", f"the step {access.step.name} is to run all its tests")
    try:
        document = await read_document(state.store, origin)
    except ValueError as error:
        raise ApiProblemError("not-found", str(error)) from None
    if document is None:
        raise ApiProblemError(
            "not-found", "the tests that failed are not stored, or no longer: run the whole step again"
        )
    return JSONResponse({"tests": failed_tests(document)})


@router.put(
    "/{slug}/{attempt}",
    operation_id="agentTests",
    response_model=models.TestCounts,
    openapi_extra=binary_body("application/gzip"),
)
async def agent_tests(request: Request, slug: str, attempt: int) -> Response:
    """Stores the results of an attempt's tests. The first reports stay; repeating the call has no effect."""
    state = get_state(request)
    access = await authorize_agent(state, request, "step", slug, attempt, after_retry=True)
    if not access.step.step.report_globs:
        raise ApiProblemError("forbidden", f"the step {access.step.name} has no reports")
    metadata = access.run["metadata"]
    key = TestsKey(str(metadata["namespace"]), str(metadata["uid"]), slug, attempt)
    if (counts := await _stored_counts(state, key)) is not None:
        return JSONResponse(counts)
    async with state.report_slots:
        secrets = await secret_values(state.client, access.run, AttemptKey(slug, attempt))
        body = await request.body()
        try:
            found = await state.report_worker.run(compile_reports, body, secrets)
        except WorkLimitError as error:
            found = problem_document(f"the reports could not be read: {error}")
    await _store(state, access, key, found)
    return JSONResponse(_reported(found.counts))


async def _stored_counts(state: AppState, key: TestsKey) -> Json | None:
    try:
        document = await read_document(state.store, key)
    except ValueError:
        return None
    return None if document is None else _reported(document["counts"])


def _reported(counts: Mapping[str, Any]) -> Json:
    return {name: counts[name] for name in ("total", "failed", "skipped", "warnings", "warning") if name in counts}


async def _store(state: AppState, access: AttemptAccess, key: TestsKey, found: CompiledTests) -> None:
    """Store the outcomes, and then the document, which makes them count."""
    pipeline = pipeline_of(access.run)
    # What strangers wrote must not become part of the history of the pipeline's own tests.
    if pipeline and not is_from_fork(as_run(dict(access.run))) and found.counts["total"]:
        run = await _with_attempt(state, access)
        header = _header(access, run)
        prefix = outcomes_prefix(key.namespace, await namespace_uid_of(state, run), pipeline)
        outcomes = encode_outcomes(header, found.outcomes)
        await state.store.put(outcomes_key(prefix, run, header), outcomes)
        for each in surplus_keys([info.key async for info in state.store.list(prefix)]):
            await state.store.delete(each)
    try:
        await state.store.put(key.document, found.document, if_absent=True)
    except ObjectExistsError:
        # The same call, whose answer was lost.
        return


async def _with_attempt(state: AppState, access: AttemptAccess) -> Mapping[str, Any]:
    """The run once its status has the attempt, and with it the reuse key of the step: a short step ends before."""
    run = access.run
    for _ in range(_STATUS_TRIES):
        step = find_step(run, access.step.slug) or {}
        if any(each["number"] == access.attempt for each in step.get("attempts") or ()):
            break
        await asyncio.sleep(_STATUS_INTERVAL)
        run = await reread_run(state, run)
    return run


def _origin(access: AttemptAccess) -> TestsKey | None:
    """The attempt whose failed tests the step runs; None for a step that runs all."""
    failed = (access.run.get("spec") or {}).get("failedTests") or {}
    for each in failed.get("steps") or ():
        if each["step"] == access.step.slug and access.step.step.rerun_failed:
            namespace = str(access.run["metadata"]["namespace"])
            return TestsKey(namespace, str(failed["uid"]), str(each["step"]), int(each["attempt"]))
    return None


def _header(access: AttemptAccess, run: Mapping[str, Any]) -> Header:
    origin = _origin(access)
    cloned = (run.get("status") or {}).get("source")
    step = find_step(run, access.step.slug) or {}
    spec = as_run(dict(run))["spec"]
    source = source_identity(spec, cloned)
    return Header(
        run=str(run["metadata"]["name"]),
        number=number_of(run),
        uid=str(run["metadata"]["uid"]),
        slug=access.step.slug,
        step=access.step.name,
        attempt=access.attempt,
        commit=str((cloned or {}).get("commit") or run["spec"].get("commit") or ""),
        inputs=str(step.get("inputs") or ""),
        source=json.dumps(source, sort_keys=True) if source is not None else "",
        partial_of=(origin.run_uid, origin.slug, origin.attempt) if origin is not None else (),
    )
