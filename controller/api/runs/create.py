"""Makes the PipelineRun that a request asks for: exactly one for an Idempotency-Key, whichever controller is asked,
how often, and whoever dies in between.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from controller.api import serializers
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.runs import numbering
from controller.api.runs.request import KEY_LABEL, Idempotency, RunSpec, is_same_request, run_object
from controller.api.state import AppState, KeyedLock
from controller.kube import PIPELINE_RUNS, AlreadyExistsError, ApiError, ConflictError, KubeError, NotFoundError

ATTEMPTS = 30
RELEASE_ATTEMPTS = 5
# No key's digest is this word.
NUMBERS = "numbers"

Run = dict[str, Any]

log = logging.getLogger("c8s.api")


async def create_pipeline_run(
    state: AppState, namespace: str, order: RunSpec, key: Idempotency | None
) -> tuple[Run, bool]:
    """The run, and whether it was made just now: False for one that the same request made before."""
    async with _exclusive(state, namespace, key.key if key is not None else None):
        at_least, taken = _highest_known_number(state, namespace, order.pipeline) + 1, 0
        for _ in range(ATTEMPTS):
            # Requests of this process don't race each other for the next number; other controllers' may.
            async with _exclusive(state, namespace, NUMBERS):
                # In this order: a claim that is gone by now has left a run behind, which the list then shows.
                ledger = await numbering.read_ledger(state.client, namespace)
                made = await _find_existing(state, namespace, key) if key is not None else None
                if made is not None:
                    return made, False
                number = _claimed_number(ledger, key, taken, state.wall_clock())
                if number is None:
                    number = await _claim_number(state, namespace, ledger, order.pipeline, at_least, key)
            if number is None:
                continue
            run = await _create_object(state, namespace, number, order, key)
            if run is not None:
                if key is not None:
                    await _release_claim(state, namespace, key)
                return run, True
            taken, at_least = number, max(at_least, number + 1)
        raise ApiProblemError("conflict", f"too many runs of {order.pipeline} are being created at once; try again")


def _claimed_number(ledger: numbering.RunNumberLedger, key: Idempotency | None, taken: int, now: float) -> int | None:
    """The number that this request has claimed before; None when it has not, or another run has got the name."""
    claim = ledger.claim(key.key, now) if key is not None else None
    if key is None or claim is None:
        return None
    if claim.request != key.request:
        raise _key_reused_problem()
    return claim.number if claim.number > taken else None


async def _claim_number(
    state: AppState,
    namespace: str,
    ledger: numbering.RunNumberLedger,
    pipeline: str,
    at_least: int,
    key: Idempotency | None,
) -> int | None:
    """A new number, claimed for the key in the same write; None when someone else has written meanwhile."""
    number = max(ledger.last_number(pipeline) + 1, at_least)
    data = ledger.with_number(pipeline, number, state.wall_clock(), *((key.key, key.request) if key else ()))
    try:
        await numbering.write_ledger(state.client, namespace, ledger, data)
    except (AlreadyExistsError, ConflictError):
        return None
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no namespace {namespace}") from None
    return number


async def _release_claim(state: AppState, namespace: str, key: Idempotency) -> None:
    """Takes the claim back once the run is there: a run that is then deleted must not come back under its number.

    A claim that can't be taken back ends by itself; it matters only to who deletes the run within that time.
    """
    try:
        for _ in range(RELEASE_ATTEMPTS):
            async with _exclusive(state, namespace, NUMBERS):
                ledger = await numbering.read_ledger(state.client, namespace)
                with contextlib.suppress(ConflictError):
                    await numbering.write_ledger(state.client, namespace, ledger, ledger.without_claim(key.key))
                    return
    except KubeError as error:
        log.info("a claim stays until it is over", extra={"namespace": namespace, "cause": type(error).__name__})


async def _create_object(
    state: AppState, namespace: str, number: int, order: RunSpec, key: Idempotency | None
) -> Run | None:
    """The new run, or the one that another controller made for this very request; None when the name is taken."""
    name = numbering.run_name(order.pipeline, number)
    try:
        return await state.client.create(
            PIPELINE_RUNS, run_object(namespace, name, number, order, key), namespace=namespace
        )
    except AlreadyExistsError:
        return await _find_existing(state, namespace, key) if key is not None else None
    except ApiError as error:
        raise _creation_problem(error) from error


async def _find_existing(state: AppState, namespace: str, key: Idempotency) -> Run | None:
    """The run that this key made before, asked of Kubernetes itself: the cache may lag."""
    found = await state.client.list(PIPELINE_RUNS, namespace=namespace, label_selector=f"{KEY_LABEL}={key.key}")
    for run in found["items"]:
        if not is_same_request(run, key):
            raise _key_reused_problem()
        return dict(run)
    return None


def _highest_known_number(state: AppState, namespace: str, pipeline: str) -> int:
    """The largest number in sight; the ConfigMap may have been deleted by someone."""
    known = (
        serializers.run_number(run) or 0
        for run in state.runs.list(namespace)
        if serializers.pipeline_of(run) == pipeline
    )
    return max(known, default=0)


def _key_reused_problem() -> ApiProblemError:
    return ApiProblemError("idempotency-key-reused", "this Idempotency-Key came with another request before")


def _creation_problem(error: ApiError) -> Exception:
    """Kubernetes' own checks of a run (its schema, a quota) are the caller's business; the rest is ours."""
    causes = error.details.get("causes")
    listed = [each for each in causes if isinstance(each, Mapping)] if isinstance(causes, list) else []
    entries = [
        problem_entry("run.refused", str(each.get("message", "")), path=str(each.get("field", "")))
        for each in listed[:50]
    ]
    if error.status == 422:
        return ApiProblemError(
            "pipeline-invalid", "Kubernetes does not take the run: it does not fit the schema", entries
        )
    if error.status == 404:
        return ApiProblemError("not-found", "there is no such namespace")
    return error


@contextlib.asynccontextmanager
async def _exclusive(state: AppState, namespace: str, what: str | None) -> AsyncIterator[None]:
    """Those who want the same thing in a namespace wait for each other here; None waits for nobody."""
    if what is None:
        yield
        return
    turn = state.locks.setdefault((namespace, what), KeyedLock())
    turn.waiters += 1
    try:
        async with turn.lock:
            yield
    finally:
        turn.waiters -= 1
        if turn.waiters == 0:
            del state.locks[(namespace, what)]
