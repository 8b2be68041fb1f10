"""Summaries of ended runs, as processes hold them: most runs have ended, and their definitions are rarely asked for.

A summary is a run without its definition, and with its steps compressed. It answers lists; what needs the whole run
reads it from the API server.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Any

from controller.run_types.phases import FINAL_RUN_PHASES, StepPhase

Json = dict[str, Any]

RUNS_PAGE_SIZE = 20
"""How many runs are listed at once: each may have more than 1 MiB, and a page is decoded in one piece."""
_STEPS, _REUSED, _INPUTS = "packedSteps", "reusedSteps", "succeededInputs"
_DEFINITION_FIELDS = ("name", "reuse")
"""What a summary has of the definition."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def summarize_run(run: Json) -> Json:
    """The summary of a run that has ended; any other run as it is."""
    status = run.get("status") or {}
    if status.get("phase") not in FINAL_RUN_PHASES or is_summary(run):
        return run
    metadata = {key: value for key, value in run["metadata"].items() if key != "managedFields"}
    if _LAST_APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _LAST_APPLIED}
    spec = {key: value for key, value in run["spec"].items() if key != "changedFiles"}
    if "name" in (spec.get("pipeline") or {}):
        spec["pipeline"] = {field: spec["pipeline"][field] for field in _DEFINITION_FIELDS if field in spec["pipeline"]}
    steps = status.get("steps") or []
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {key: value for key, value in status.items() if key != "steps"},
        _STEPS: zlib.compress(json.dumps(steps, separators=(",", ":")).encode(), 1),
        _REUSED: [step["reused"] for step in steps if step.get("reused")],
        _INPUTS: _succeeded_inputs(steps),
    }


def is_summary(run: Any) -> bool:
    """Whether this is a summary: it has no definition."""
    return _STEPS in run


def status_of(run: Any) -> Json:
    """The status of a run or of a summary, with its steps; empty if it has none yet."""
    status: Json = run.get("status") or {}
    return {**status, "steps": json.loads(zlib.decompress(run[_STEPS]))} if is_summary(run) else status


def reused_attempts(run: Any) -> list[Json]:
    """The attempts of other runs whose results a run or a summary has taken over."""
    if is_summary(run):
        return list(run[_REUSED])
    return [step["reused"] for step in (run.get("status") or {}).get("steps") or () if step.get("reused")]


def has_succeeded_with(run: Any, digests: Iterable[str]) -> bool:
    """Whether a step of a run or of a summary has succeeded with one of these input digests."""
    known = run[_INPUTS] if is_summary(run) else _succeeded_inputs((run.get("status") or {}).get("steps") or ())
    return any(digest.encode() in known for digest in digests)


def _succeeded_inputs(steps: Iterable[Json]) -> bytes:
    """The input digests of the steps that succeeded. One value of bytes: there are as many as all runs have steps."""
    return b" ".join(
        step["inputs"].encode() for step in steps if step.get("inputs") and step["phase"] == StepPhase.SUCCEEDED
    )
