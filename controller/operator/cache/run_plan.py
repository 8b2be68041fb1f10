"""What a run is going to do, read from its spec once: it does not change while the run goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller import labels
from controller.operator.decision.concurrency import concurrency_group
from controller.operator.decision.reuse import input_digests
from controller.operator.workload.clone_step import add_clone_step
from controller.operator.workload.debug_copies import debug_source
from controller.pipeline import params
from controller.pipeline.definition import InvalidDefinitionError, validate_definition
from controller.pipeline.graph.expand import ExpandedStep, ancestors, expand_steps, topological_order
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext

Json = dict[str, Any]


class InvalidRunError(Exception):
    """The definition or the parameters of a run are invalid. The message is for users."""


@dataclass(frozen=True)
class RunPlan:
    """The pipeline of a run, expanded, with the values of its variables.

    Attributes:
        uid: of the run, which tells runs of the same name apart.
        artifact_producers: name of a step -> slugs of the steps upstream of it that make artifacts, each after
            those that it depends on: of two that store the same path, the later one is kept.
        source_step: the name of the step that clones the repository, for a run on a repository.
        group: the name of its concurrency group, with variables filled in.
    """

    uid: str
    pipeline: Pipeline
    steps: tuple[ExpandedStep, ...]
    run_context: RunContext
    artifact_producers: Mapping[str, tuple[str, ...]]
    source_step: str | None
    group: str | None

    def input_digests(self, spec: Json, cloned: Json | None) -> dict[str, str]:
        """Name of a step -> digest of what it is made from, as far as that is known.

        Args:
            cloned: `status.source` of a run on a repository, once it is cloned.
        """
        return input_digests(self.pipeline, self.steps, self.run_context, spec, cloned, self.source_step)


def load_run_plan(run: Json) -> RunPlan:
    """The plan of a run whose spec has a pipeline.

    Raises:
        InvalidRunError: the definition or the parameters are invalid.
    """
    spec, metadata = run["spec"], run["metadata"]
    definition = spec.get("pipeline") or {}
    pipeline = _validate(definition)
    values, wrong = params.resolve_params(definition.get("params") or [], spec.get("params") or {})
    if wrong:
        raise InvalidRunError("; ".join(sentence for _, sentence in wrong))
    steps, source_step = add_clone_step(run, expand_steps(pipeline))
    # A debug copy has the variables of the run that it is a copy of.
    copied = debug_source(run)
    context = RunContext(
        copied["run"] if copied else metadata["name"],
        copied.get("number", "") if copied else (metadata.get("labels") or {}).get(labels.RUN_NUMBER, ""),
        spec.get("commit") or "",
        spec.get("branch") or "",
        values,
    )
    return RunPlan(
        uid=metadata["uid"],
        pipeline=pipeline,
        steps=steps,
        run_context=context,
        artifact_producers=_artifact_producers(topological_order(steps), source_step),
        source_step=source_step,
        group=concurrency_group(pipeline, context),
    )


def _validate(definition: Json) -> Pipeline:
    try:
        return validate_definition(definition)
    except InvalidDefinitionError as error:
        raise InvalidRunError(str(error)) from error


def _artifact_producers(steps: Sequence[ExpandedStep], source_step: str | None) -> dict[str, tuple[str, ...]]:
    by_name = {step.name: step for step in steps}
    return {
        name: tuple(by_name[o].slug for o in above if by_name[o].step.artifacts and o != source_step)
        for name, above in ancestors(steps).items()
    }
