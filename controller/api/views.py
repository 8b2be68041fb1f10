"""Kubernetes objects as people see them: pure functions from a PipelineRun to the `Run` of the REST API, and
pages of runs.
"""

import base64
import binascii
import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.api.problems import ApiProblem

PIPELINE_LABEL = "c8s.dev/pipeline"
NUMBER_LABEL = "c8s.dev/run-number"

Object = Mapping[str, Any]
Key = tuple[str, int, str]


def run_view(run: Object, *, definition: bool) -> dict[str, Any]:
    """A PipelineRun as a `Run`; `definition` says whether it carries its pipeline."""
    meta, spec = run["metadata"], run.get("spec") or {}
    pipeline = spec.get("pipeline") or {}
    labels = meta.get("labels") or {}
    answer: dict[str, Any] = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta.get("uid", ""),
        "number": run_number(run),
        "pipeline": labels.get(PIPELINE_LABEL) or pipeline.get("name"),
        "createdAt": meta.get("creationTimestamp"),
        "resourceVersion": str(meta.get("resourceVersion", "")),
        "branch": spec.get("branch"),
        "commit": spec.get("commit"),
        "event": spec.get("event"),
        "params": spec.get("params") or {},
        "priority": spec.get("priority"),
        "triggeredBy": spec.get("triggeredBy"),
        "rerunOf": spec.get("rerunOf"),
        "cancelRequested": bool(spec.get("cancel")),
        "status": {"phase": "Pending", **(run.get("status") or {})},
    }
    if definition:
        answer["definition"] = pipeline
    return answer


def run_number(run: Object) -> int | None:
    """The run's number within its pipeline, from its label; None for a run that was made without this API."""
    text = str((run["metadata"].get("labels") or {}).get(NUMBER_LABEL, ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def phase_of(run: Object) -> str:
    """The run's phase; a run that the operator has not seen yet is Pending."""
    return str((run.get("status") or {}).get("phase") or "Pending")


@dataclass(frozen=True)
class Page:
    """One page of runs and the token for the next one, if there is one."""

    items: list[Object]
    next: str | None


def page(runs: Iterable[Object], *, limit: int, after: str | None, phases: set[str], pipeline: str | None) -> Page:
    """The newest `limit` runs that pass the filters, after the place that the token names.

    The token names the last run of the page before, not a number of rows: runs that are created meanwhile
    shift nothing.
    """
    place = _place(after) if after else None
    wanted = (
        run
        for run in runs
        if (not phases or phase_of(run) in phases)
        and (pipeline is None or (run["metadata"].get("labels") or {}).get(PIPELINE_LABEL) == pipeline)
        and (place is None or _key(run) < place)
    )
    found = heapq.nlargest(limit + 1, wanted, key=_key)
    items = found[:limit]
    return Page(items, _token(_key(items[-1])) if len(found) > limit else None)


def _key(run: Object) -> Key:
    meta = run["metadata"]
    return (str(meta.get("creationTimestamp") or ""), run_number(run) or 0, str(meta["name"]))


def _token(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _place(token: str) -> Key:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        created, number, name = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        created = number = name = None
    if not (isinstance(created, str) and isinstance(number, int) and isinstance(name, str)):
        raise ApiProblem("bad-request", "the continue token is not one that this API gave")
    return (created, number, name)


def pipeline_of(run: Object) -> str | None:
    """The name of the run's pipeline, from its label."""
    name = (run["metadata"].get("labels") or {}).get(PIPELINE_LABEL)
    return None if name is None else str(name)
