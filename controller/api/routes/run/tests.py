"""Results of tests: of a run, by step, and of a step's tests in the last runs of its pipeline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.keys import find_step, producer_uid
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import runs as models
from controller.api.namespace_uids import namespace_uid_of
from controller.api.runs.find import find_run
from controller.api.state import AppState, get_state
from controller.run_numbers import pipeline_of
from controller.storage import ObjectNotFoundError
from controller.test_results.documents import TestsKey, read_document
from controller.test_results.history import (
    History,
    as_json,
    build_history,
    decode_outcomes,
    outcomes_prefix,
    parse_outcomes_key,
    surplus_keys,
)
from controller.test_results.model import FAILED_OUTCOMES

Json = dict[str, Any]

MAX_PAGE = 20_000
_READS_AT_ONCE = 16
_log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}/tests", tags=["tests"], route_class=GuardedRoute)


@dataclass(frozen=True)
class _Stored:
    """A step of the run, and the attempt whose tests are stored: of another run, if its result was reused."""

    step: Mapping[str, Any]
    key: TestsKey


@router.get("", operation_id="listTests", response_model=models.TestList)
async def list_tests(
    request: Request,
    ns: str,
    run: str,
    step: Annotated[str | None, Query(max_length=253, description="only those of this step")] = None,
    failed: Annotated[bool, Query(description="only those that failed")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 5000,
    continue_: Annotated[
        str | None, Query(alias="continue", max_length=100, description="`continue` of the page before")
    ] = None,
) -> Response:
    """The tests of the run's last attempts, in the order of the steps; of each step those that failed first."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    stored = _stored_attempts(found, step)
    first_slug, start = _parse_token(continue_, stored)
    steps: list[Json] = []
    items: list[Json] = []
    token: str | None = None
    reached = first_slug is None
    for each in stored:
        document = await _read(state, each.key)
        if document is None:
            continue
        steps.append(_step_entry(found, each, document))
        slug = str(each.step["slug"])
        reached = reached or slug == first_slug
        if not reached or token is not None:
            continue
        tests = document["tests"]
        if failed:
            tests = [test for test in tests if test["outcome"] in FAILED_OUTCOMES]
        at = start if slug == first_slug else 0
        part = tests[at : at + limit - len(items)]
        items += [{"step": slug, "attempt": each.key.attempt, **test} for test in part]
        if at + len(part) < len(tests):
            token = f"{slug}:{at + len(part)}"
    answer: Json = {"steps": steps, "items": items}
    if token is not None:
        answer["continue"] = token
    return JSONResponse(answer)


@router.get("/history", operation_id="getTestHistory", response_model=models.TestHistory)
async def test_history(
    request: Request, ns: str, run: str, step: Annotated[str, Query(max_length=253, description="name or slug")]
) -> Response:
    """What became of the step's tests in the last 50 runs of the pipeline, and which of them are flaky."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    stored = _stored_attempts(found, step)
    pipeline = pipeline_of(found)
    document = await _read(state, stored[0].key) if stored else None
    if document is None or not pipeline:
        raise ApiProblemError("not-found", f"the step {step} of {run} has no tests, or they are no longer stored")
    slug = str(stored[0].step["slug"])
    prefix = outcomes_prefix(ns, await namespace_uid_of(state, found), pipeline)
    keys = [info.key async for info in state.store.list(prefix)]
    surplus = set(surplus_keys(keys))
    parsed = {key: parsed for key in keys if (parsed := parse_outcomes_key(key)) is not None and key not in surplus}
    wanted = sorted((each[0], each[3], key) for key, each in parsed.items() if each[2] == slug)
    slots = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(key: str) -> bytes | None:
        async with slots:
            try:
                return await state.store.get(key)
            except ObjectNotFoundError:
                return None

    data = await asyncio.gather(*(read(key) for _, _, key in wanted))
    history = await asyncio.to_thread(_build, data, [str(test["key"]) for test in document["tests"]])
    return JSONResponse(
        {
            "attempts": [as_json(header) for header in history.attempts],
            "tests": dict(history.tests),
            "flaky": sorted(history.flaky),
        }
    )


def _build(data: list[bytes | None], keys: list[str]) -> History:
    found = []
    for each in data:
        if each is None:
            continue
        try:
            found.append(decode_outcomes(each))
        except ValueError as error:
            _log.warning("a part of a history of tests is left out: %s", error)
    return build_history(found, keys)


def _stored_attempts(run: Mapping[str, Any], only: str | None) -> list[_Stored]:
    """The attempts of the run's steps that have tests, the last of each step. Raises a problem for an unknown step."""
    if only is not None:
        wanted = find_step(run, only)
        if wanted is None:
            raise ApiProblemError("not-found", f"the run {run['metadata']['name']} has no step {only}")
        steps = [wanted]
    else:
        steps = list((run.get("status") or {}).get("steps") or ())
    found = []
    for step in steps:
        key = _tests_key(run, step)
        if key is not None:
            found.append(_Stored(step, key))
    return found


def _tests_key(run: Mapping[str, Any], step: Mapping[str, Any]) -> TestsKey | None:
    namespace, uid = str(run["metadata"]["namespace"]), str(run["metadata"]["uid"])
    if made := step.get("reused"):
        producer = producer_uid(made)
        return None if producer is None else TestsKey(namespace, producer, str(made["slug"]), int(made["attempt"]))
    with_tests = [int(each["number"]) for each in step.get("attempts") or () if "tests" in each]
    return TestsKey(namespace, uid, str(step["slug"]), with_tests[-1]) if with_tests else None


async def _read(state: AppState, key: TestsKey) -> Json | None:
    try:
        return await read_document(state.store, key)
    except ValueError as error:
        _log.warning("%s: %s", key.document, error)
        return None


def _step_entry(run: Mapping[str, Any], stored: _Stored, document: Mapping[str, Any]) -> Json:
    counts, step = document["counts"], stored.step
    spec = run.get("spec") or {}
    defined = {str(step["name"]), str(step["name"]).split(" (", 1)[0]}
    definitions = (spec.get("pipeline") or {}).get("steps") or ()
    definition: Mapping[str, Any] = next((each for each in definitions if each.get("name") in defined), {})
    failed = (spec.get("failedTests") or {}).get("steps") or ()
    return {
        "step": str(step["slug"]),
        "name": str(step["name"]),
        "attempt": stored.key.attempt,
        **{name: counts[name] for name in ("total", "failed", "skipped", "seconds")},
        "canRerunFailed": bool(definition.get("rerunFailed")),
        "partial": any(each["step"] == step["slug"] for each in failed) and bool(definition.get("rerunFailed")),
        "warnings": list(document["warnings"]),
    }


def _parse_token(token: str | None, stored: list[_Stored]) -> tuple[str | None, int]:
    """The slug of a step and a position in its tests. Raises a problem."""
    if token is None:
        return None, 0
    slug, _, position = token.partition(":")
    if not (position.isascii() and position.isdigit() and len(position) < 9):
        raise ApiProblemError("bad-request", "`continue` is not one of this API")
    if slug not in {str(each.step["slug"]) for each in stored}:
        raise ApiProblemError("bad-request", "`continue` is of another list")
    return slug, int(position)
