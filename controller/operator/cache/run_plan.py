"""What a run is going to do, read from its spec once: it does not change while the run goes on."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.operator.decision.concurrency import concurrency_group
from controller.operator.decision.inputs.reuse import KnownInputs, definition_digests, input_digests
from controller.operator.run_object import status_of
from controller.operator.workload.clone_step import ReservedNameError, add_clone_step
from controller.operator.workload.debug_copies import debug_source
from controller.pipeline import params
from controller.pipeline.conditions import TriggerContext, unmet_conditions
from controller.pipeline.definition import InvalidDefinitionError, validate_definition
from controller.pipeline.graph.expand import ExpandedStep, ancestors, expand_steps
from controller.pipeline.graph.run_size import oversize_reason
from controller.pipeline.model import Pipeline
from controller.pipeline.run_cost import RunTooExpensiveError, check_run_cost
from controller.pipeline.variables import RunContext, render, template_context
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunSpec

Json = dict[str, Any]

HISTORY_FILES = (".git/HEAD", ".git/packed-refs")
"""The files that tell one history of a repository from another: inputs of every step with `git: full`."""


class InvalidRunError(Exception):
    """The definition or the parameters of a run are invalid. The message is for users.

    `reason` is that of the run's status.
    """

    def __init__(self, message: str, reason: RunReason = RunReason.INVALID_PIPELINE) -> None:
        super().__init__(message, reason)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class RunPlan:
    """The pipeline of a run, expanded, with the values of its variables.

    Attributes:
        uid: of the run, which tells runs of the same name apart.
        artifact_producers: name of a step -> slugs of the steps upstream of it that make artifacts, each after
            those that it depends on: of two that store the same path, the later one is kept.
        source_step: the name of the step that clones the repository, for a run on a repository.
        group: the name of its concurrency group, with variables filled in.
        unmet_conditions: name of a step whose condition does not hold -> the reason.
        definition_digests: name of a step -> digest of its definition with variables filled in.
        input_globs: name of a step with `inputs` -> these, with variables filled in.
    """

    uid: str
    pipeline: Pipeline
    steps: tuple[ExpandedStep, ...]
    run_context: RunContext
    artifact_producers: Mapping[str, tuple[str, ...]]
    source_step: str | None
    group: str | None
    unmet_conditions: Mapping[str, str]
    definition_digests: Mapping[str, str]
    input_globs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_unresolved: bool = False
    """Whether it has only the clone step so far, because the pipeline is in the repository."""

    def input_digests(self, spec: RunSpec, known: KnownInputs) -> dict[str, str]:
        """Name of a step -> digest of what it is made from, as far as that is known."""
        return input_digests(self.steps, self.definition_digests, spec, known)


def is_unresolved(spec: Mapping[str, Any]) -> bool:
    """Whether a run takes its pipeline from the repository, and the operator has not read it yet."""
    return spec.get("pipelineFrom") == "repository" and not spec.get("pipeline")


def _unresolved_plan(run: RunObject) -> RunPlan:
    """The plan of a run of which only the repository is known: to clone it."""
    metadata, spec = run["metadata"], run["spec"]
    steps, source_step = add_clone_step(run, ())
    pipeline = Pipeline.model_construct(name="", steps=[])
    context = RunContext(metadata["name"], "", spec.get("commit") or "", spec.get("branch") or "", {})
    return RunPlan(
        uid=metadata["uid"],
        pipeline=pipeline,
        steps=steps,
        run_context=context,
        artifact_producers={step.name: () for step in steps},
        source_step=source_step,
        group=None,
        unmet_conditions={},
        definition_digests={},
        is_unresolved=True,
    )


def load_run_plan(run: RunObject) -> RunPlan:
    """The plan of a run: everything about the run that is computed from untrusted data.

    Its spec has a pipeline, or says that the pipeline is in the repository.

    Raises:
        InvalidRunError: the definition or the parameters are invalid, or computing the plan would exceed a bound.
    """
    spec, metadata = run["spec"], run["metadata"]
    if is_unresolved(spec):
        return _unresolved_plan(run)
    definition = spec.get("pipeline") or {}
    pipeline = _validate(definition)
    values, wrong = params.resolve_params(definition.get("params") or [], spec.get("params") or {})
    if wrong:
        raise InvalidRunError("; ".join(sentence for _, sentence in wrong))
    try:
        steps, source_step = add_clone_step(run, expand_steps(pipeline))
    except ReservedNameError as error:
        raise InvalidRunError(str(error)) from error
    # A debug copy has the variables of the run that it is a copy of.
    copied = debug_source(run)
    context = RunContext(
        copied["run"] if copied else metadata["name"],
        copied.get("number", "") if copied else (metadata.get("labels") or {}).get(labels.RUN_NUMBER, ""),
        spec.get("commit") or "",
        spec.get("branch") or "",
        values,
    )
    try:
        check_run_cost(pipeline, steps, context, spec.get("changedFiles"))
    except RunTooExpensiveError as error:
        raise InvalidRunError(str(error), RunReason.TOO_EXPENSIVE) from error
    # One that has steps already was accepted by an earlier version: its status is shortened if need be.
    known_steps = len(status_of(run).get("steps") or ())
    was_accepted = known_steps > (1 if spec.get("pipelineFrom") else 0)
    if not was_accepted and (reason := oversize_reason(spec, pipeline, steps)) is not None:
        raise InvalidRunError(f"the run is too large: {reason}", RunReason.TOO_EXPENSIVE)
    return RunPlan(
        uid=metadata["uid"],
        pipeline=pipeline,
        steps=steps,
        run_context=context,
        artifact_producers=_artifact_producers(_unpack_order(steps), source_step),
        source_step=source_step,
        group=concurrency_group(pipeline, _group_context(context, spec)),
        unmet_conditions=find_unmet_conditions(run, steps),
        definition_digests=definition_digests(pipeline, steps, context),
        input_globs=_input_globs(steps, context),
    )


def _input_globs(steps: Sequence[ExpandedStep], context: RunContext) -> dict[str, tuple[str, ...]]:
    found = {}
    for step in steps:
        if step.step.inputs is not None:
            values = template_context(context, step.matrix)
            history = HISTORY_FILES if step.step.git == "full" else ()
            found[step.name] = (*(render(glob, values) for glob in step.step.inputs), *history)
    return found


def _group_context(context: RunContext, spec: RunSpec) -> RunContext:
    """The variables of a concurrency group: there, the branch of a pull request is the pull request itself.

    Otherwise all pull requests into a branch would be one group, and with `cancel-running` cancel each other.
    """
    number = (spec.get("trigger") or {}).get("pullRequest")
    return replace(context, branch=f"pull/{number}") if number else context


def find_unmet_conditions(run: RunObject, steps: Sequence[ExpandedStep]) -> dict[str, str]:
    """Name of a step whose condition does not hold -> the reason."""
    conditionals = {step.name: step.step.conditional.fields() for step in steps if step.step.conditional}
    return unmet_conditions(conditionals, _trigger_context(run))


def _trigger_context(run: RunObject) -> TriggerContext:
    """What started the run, for conditions."""
    spec = run["spec"]
    event = spec.get("event") or "push"
    tag = spec.get("branch", "") if event == "tag" else ""
    changed = spec.get("changedFiles")
    return TriggerContext(event, spec.get("branch") or "", tag, tuple(changed) if changed is not None else None)


def _validate(definition: Json) -> Pipeline:
    try:
        return validate_definition(definition)
    except InvalidDefinitionError as error:
        raise InvalidRunError(str(error)) from error


def _unpack_order(steps: Sequence[ExpandedStep]) -> list[ExpandedStep]:
    """The steps in the order of the file, but each after its dependencies."""
    waits_for = {step.name: len(set(step.depends_on)) for step in steps}
    dependents: dict[str, list[int]] = {}
    for index, step in enumerate(steps):
        for name in set(step.depends_on):
            dependents.setdefault(name, []).append(index)
    ready = [index for index, step in enumerate(steps) if not waits_for[step.name]]
    ordered = []
    while ready:
        step = steps[heapq.heappop(ready)]
        ordered.append(step)
        for index in dependents.get(step.name, ()):
            waits_for[steps[index].name] -= 1
            if not waits_for[steps[index].name]:
                heapq.heappush(ready, index)
    return ordered


def _artifact_producers(steps: Sequence[ExpandedStep], source_step: str | None) -> dict[str, tuple[str, ...]]:
    by_name = {step.name: step for step in steps}
    return {
        name: tuple(by_name[o].slug for o in above if by_name[o].step.has_artifacts and o != source_step)
        for name, above in ancestors(steps).items()
    }
