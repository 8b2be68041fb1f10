"""Why a step was reused or not: compares what it is made from with the same step of an earlier run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.api.artifacts.keys import find_step
from controller.api.http.problems import ApiProblemError
from controller.api.runs.computing import compute
from controller.api.runs.find import find_run
from controller.api.state import AppState
from controller.operator.cache.run_plan import InvalidRunError, RunPlan, load_run_plan
from controller.operator.decision.inputs.comparison import InputDifference, StepInputs, compare_inputs
from controller.operator.decision.inputs.reuse import resolved_definition, reuses_any_run, source_identity
from controller.operator.effects.source_files import MAX_MATCH_SECONDS, Files, UnknownFilesError, deadline, input_files
from controller.pipeline.run_cost import estimate_effort
from controller.run_numbers import pipeline_of
from controller.run_types.order import creation_order
from controller.run_types.phases import StepPhase
from controller.run_types.summary import status_of

Run = Mapping[str, Any]

MAX_DIFFERENCES = 200
"""Differences in an answer; the others are counted."""


@dataclass(frozen=True)
class ReuseReason:
    """Whether and why a step of a run was reused.

    Attributes:
        earlier: the name of the run that it was compared with.
        reason: a sentence.
        problem: why files could not be compared; empty if they could, or need not be.
    """

    step: Mapping[str, Any]
    earlier: str | None
    reason: str
    differences: tuple[InputDifference, ...] = ()
    problem: str = ""


async def explain_reuse(state: AppState, run: Run, wanted: str) -> ReuseReason:
    """The reason for a step, by its name or slug.

    Raises:
        ApiProblemError: the run has no such step, or its pipeline is not known yet.
        KubeError: Kubernetes can't be asked.
    """
    step = find_step(run, wanted)
    if step is None:
        raise ApiProblemError("not-found", f"the run {run['metadata']['name']} has no step {wanted}")
    plan = await _plan(state, run)
    if plan.source_step == step["name"]:
        return ReuseReason(step, None, "the step clones the repository; it is reused for the same commit only")
    reused = step.get("reused")
    if reused:
        return ReuseReason(step, str(reused["run"]), f"taken from run {reused['run']}, whose inputs are the same")
    earlier_name = earlier_run(state.runs.list(str(run["metadata"]["namespace"])), run, str(step["name"]))
    if earlier_name is None:
        return ReuseReason(step, None, f"no earlier run of the pipeline that is still there has succeeded in {wanted}")
    earlier = await find_run(state, str(run["metadata"]["namespace"]), earlier_name)
    before_step = find_step(earlier, str(step["name"]))
    if before_step is None:
        return ReuseReason(step, earlier_name, f"the run {earlier_name} has no such step")
    before, problem = await _inputs(state, earlier, await _plan(state, earlier), before_step)
    after, other_problem = await _inputs(state, run, plan, step)
    differences = tuple(compare_inputs(before, after))
    reason = _reason(run, plan, step, earlier_name, before_step, differences)
    return ReuseReason(step, earlier_name, reason, differences, problem or other_problem)


def _reason(
    run: Run,
    plan: RunPlan,
    step: Mapping[str, Any],
    earlier: str,
    before: Mapping[str, Any],
    differences: tuple[InputDifference, ...],
) -> str:
    spec: Any = run["spec"]
    if (spec.get("trigger") or {}).get("fork"):
        return "the run is of a pull request from a fork, which neither takes nor gives results"
    if differences:
        return f"its inputs differ from those in run {earlier}"
    if before.get("phase") != StepPhase.SUCCEEDED:
        return f"its inputs are those in run {earlier}, where it has not succeeded"
    if not spec.get("reuseFrom") and not reuses_any_run(spec, plan.pipeline):
        return (
            f"its inputs are those in run {earlier}, but the run was not to reuse anything: that is what "
            "`c8s run --reuse` and `reuse: true` in the pipeline are for"
        )
    steps = {each["name"]: each for each in (run.get("status") or {}).get("steps") or ()}
    ran = [name for name in step.get("dependsOn") or () if name in steps and not steps[name].get("reused")]
    if ran:
        return f"its inputs are those in run {earlier}, but {ran[0]} ran again, which it depends on"
    return f"its inputs are those in run {earlier}, whose result was not there yet, or can't be reused any more"


def earlier_run(runs: Iterable[Run], run: Run, step: str) -> str | None:
    """The run to compare with: the one that it was to reuse, else the newest before it that succeeded in the step.

    Args:
        runs: those of the namespace.
    """
    named = (run.get("spec") or {}).get("reuseFrom")
    if named:
        return str(named)
    found = max(_candidates(runs, run, step), key=creation_order, default=None)
    return str(found["metadata"]["name"]) if found is not None else None


def _candidates(runs: Iterable[Run], run: Run, step: str) -> Iterator[Run]:
    """The earlier runs of the pipeline that succeeded in a step."""
    pipeline, order = pipeline_of(run), creation_order(run)
    for other in runs:
        spec = other.get("spec") or {}
        if creation_order(other) >= order or pipeline_of(other) != pipeline or (spec.get("trigger") or {}).get("fork"):
            continue
        if (spec.get("source") or {}).get("kept"):
            continue
        steps = status_of(other).get("steps") or ()
        if any(each["name"] == step and each.get("phase") == StepPhase.SUCCEEDED for each in steps):
            yield other


async def _plan(state: AppState, run: Run) -> RunPlan:
    spec = run["spec"]
    effort = estimate_effort(spec.get("pipeline"), spec.get("params"), spec.get("changedFiles"))
    try:
        return await compute(state, effort, load_run_plan, run)
    except InvalidRunError as error:
        name = run["metadata"]["name"]
        raise ApiProblemError("conflict", f"the pipeline of the run {name} can't be read: {error}") from error


async def _inputs(state: AppState, run: Run, plan: RunPlan, step: Mapping[str, Any]) -> tuple[StepInputs, str]:
    """What a step is made from, and why its files are not known; empty if they are."""
    expanded = next((each for each in plan.steps if each.name == step["name"]), None)
    if expanded is None:
        raise ApiProblemError("conflict", f"the pipeline of {run['metadata']['name']} has no step {step['name']}")
    status: Any = run.get("status") or {}
    statuses = {each["name"]: each for each in status.get("steps") or ()}
    files, problem = await _files(state, run, plan, str(step["name"]))
    spec: Any = run["spec"]
    return (
        StepInputs(
            resolved=resolved_definition(plan.pipeline, expanded, plan.run_context),
            files=files,
            source=source_identity(spec, status.get("source")),
            upstream={
                name: (statuses.get(name) or {}).get("inputs")
                for name in expanded.depends_on
                if name != plan.source_step
            },
            digest=step.get("inputs"),
        ),
        problem,
    )


async def _files(state: AppState, run: Run, plan: RunPlan, step: str) -> tuple[Files | None, str]:
    source = run["spec"].get("source") or {}
    archive, cloned = source.get("archive"), (run.get("status") or {}).get("source") or {}
    digest = archive["digest"] if archive is not None else cloned.get("digest")
    if digest is None:
        return ({}, "") if not source else (None, "the repository is not cloned yet")
    pipeline_file = archive.get("pipelineFile") if archive is not None else run["spec"].get("pipelineFile")
    try:
        found = await state.source_files.load(str(run["metadata"]["namespace"]), str(digest))
        return await asyncio.to_thread(_select, found, plan.input_globs.get(step), pipeline_file), ""
    except (UnknownFilesError, TimeoutError) as error:
        return None, f"the files of run {run['metadata']['name']} can't be compared: {error}"


def _select(files: Files, globs: tuple[str, ...] | None, pipeline_file: str | None) -> Files:
    """The fingerprints of the inputs; without globs, of all files but the pipeline's own."""
    if globs is None:
        return {path: files[path] for path in files if path != pipeline_file}
    return {path: files[path] for path in input_files(globs, sorted(files), pipeline_file, deadline(MAX_MATCH_SECONDS))}
