"""Creates the PipelineRun of a request: exactly one per Idempotency-Key, whichever controller is asked, however often,
and whichever process dies in between.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from controller import labels, run_numbers
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.runs.request import Idempotency, NewRun, is_same_request, run_object
from controller.api.runs.validation import require_fitting_size
from controller.api.state import AppState, KeyedLock
from controller.kube import PIPELINE_RUNS, AlreadyExistsError, ApiError, ConflictError, KubeError, NotFoundError

ATTEMPTS = 30
RELEASE_ATTEMPTS = 5
# The digest of a key is never this word.
NUMBERS = "numbers"

DENIED = "denied the request: "
"""What the Kubernetes API puts before the words of an admission webhook."""

Run = dict[str, Any]

log = logging.getLogger("c8s.api")


async def create_pipeline_run(
    state: AppState, namespace: str, new: NewRun, key: Idempotency | None
) -> tuple[Run, bool]:
    """The run, and whether it was created just now: False for one that the same request created before.

    Raises a problem `pipeline-invalid` for a run that is too large to be stored together with its status.
    """
    await asyncio.to_thread(require_fitting_size, new.spec())
    async with _exclusive(state, namespace, key.key if key is not None else None):
        at_least, taken = run_numbers.highest_number(state.runs.list(namespace), new.pipeline) + 1, 0
        for _ in range(ATTEMPTS):
            # Requests of this process don't compete for the next number; those of other controllers may.
            async with _exclusive(state, namespace, NUMBERS):
                # In this order: a claim that has been released left a run behind, which the list then shows.
                ledger = await run_numbers.read_ledger(state.client, namespace)
                existing = await _find_existing(state, namespace, key) if key is not None else None
                if existing is not None:
                    return existing, False
                number = _claimed_number(ledger, key, taken, state.wall_clock())
                if number is None:
                    number = await _claim_number(state, namespace, ledger, new.pipeline, at_least, key)
            if number is None:
                continue
            run = await _create_object(state, namespace, number, new, key)
            if run is not None:
                if key is not None:
                    await _release_claim(state, namespace, key)
                return run, True
            taken, at_least = number, max(at_least, number + 1)
        raise ApiProblemError("conflict", f"too many runs of {new.pipeline} are being created at once; try again")


def _claimed_number(ledger: run_numbers.RunNumberLedger, key: Idempotency | None, taken: int, now: float) -> int | None:
    """The number that this request claimed before; None without a claim, or when another run has got the name."""
    claim = ledger.claim(key.key, now) if key is not None else None
    if key is None or claim is None:
        return None
    if claim.request != key.request:
        raise _key_reused_problem()
    return claim.number if claim.number > taken else None


async def _claim_number(
    state: AppState,
    namespace: str,
    ledger: run_numbers.RunNumberLedger,
    pipeline: str,
    at_least: int,
    key: Idempotency | None,
) -> int | None:
    """A new number, claimed for the key in the same write; None when another writer was quicker."""
    number = max(ledger.last_number(pipeline) + 1, at_least)
    data = ledger.with_number(pipeline, number, state.wall_clock(), *((key.key, key.request) if key else ()))
    try:
        await run_numbers.write_ledger(state.client, namespace, ledger, data)
    except (AlreadyExistsError, ConflictError):
        return None
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no namespace {namespace}") from None
    return number


async def _release_claim(state: AppState, namespace: str, key: Idempotency) -> None:
    """Releases the claim once the run exists: a run that is deleted later must not come back under its number.

    A claim that can't be released expires; it matters only to a client that deletes the run within that time.
    """
    try:
        for _ in range(RELEASE_ATTEMPTS):
            async with _exclusive(state, namespace, NUMBERS):
                ledger = await run_numbers.read_ledger(state.client, namespace)
                with contextlib.suppress(ConflictError):
                    await run_numbers.write_ledger(state.client, namespace, ledger, ledger.without_claim(key.key))
                    return
    except KubeError as error:
        log.info(
            "could not release a run number's claim", extra={"namespace": namespace, "cause": type(error).__name__}
        )


async def _create_object(
    state: AppState, namespace: str, number: int, new: NewRun, key: Idempotency | None
) -> Run | None:
    """The new run, or the one that another controller created for this request; None when the name is taken."""
    name = run_numbers.run_name(new.pipeline, number)
    try:
        body = run_object(namespace, name, number, new, key)
        body["metadata"]["annotations"][labels.CREATOR_PROOF] = state.creator_proofs.sign(body)
        return await state.client.create(PIPELINE_RUNS, body, namespace=namespace)
    except AlreadyExistsError:
        return await _find_existing(state, namespace, key) if key is not None else None
    except ApiError as error:
        raise _creation_problem(error) from error


async def _find_existing(state: AppState, namespace: str, key: Idempotency) -> Run | None:
    """The run that this key created before, asked of Kubernetes itself: the cache may lag.

    Labels can be written by others: only a run that the API created can be the answer to a repeated request.
    """
    selector = f"{labels.IDEMPOTENCY_KEY}={key.key}"
    found = await state.client.list(PIPELINE_RUNS, namespace=namespace, label_selector=selector)
    for run in found["items"]:
        if state.creator_proofs.creator(run) is None:
            continue
        if not is_same_request(run, key):
            raise _key_reused_problem()
        return dict(run)
    return None


def _key_reused_problem() -> ApiProblemError:
    return ApiProblemError("idempotency-key-reused", "this Idempotency-Key was sent with another request before")


def _creation_problem(error: ApiError) -> Exception:
    """Kubernetes' own checks of a run (its schema, a quota) concern the client; anything else is our failure."""
    causes = error.details.get("causes")
    listed = [each for each in causes if isinstance(each, Mapping)] if isinstance(causes, list) else []
    entries = [
        problem_entry("run.refused", str(each.get("message", "")), path=str(each.get("field", "")))
        for each in listed[:50]
    ]
    said = str(error).partition(DENIED)[2]
    if said:
        return ApiProblemError("pipeline-invalid" if error.status == 422 else "conflict", said, entries)
    if error.status == 422:
        detail = "Kubernetes rejected the run: it does not match the schema"
        return ApiProblemError("pipeline-invalid", detail, entries)
    if error.status == 404:
        return ApiProblemError("not-found", "there is no such namespace")
    return error


@contextlib.asynccontextmanager
async def _exclusive(state: AppState, namespace: str, name: str | None) -> AsyncIterator[None]:
    """Holds the lock of this name in the namespace; no lock for None."""
    if name is None:
        yield
        return
    lock = state.locks.setdefault((namespace, name), KeyedLock())
    lock.waiters += 1
    try:
        async with lock.lock:
            yield
    finally:
        lock.waiters -= 1
        if lock.waiters == 0:
            del state.locks[(namespace, name)]
