"""What the operator remembers of a run between two looks. All of it can be found again in the cluster and the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from controller.operator.names import RUN_NUMBER
from controller.operator.observed import Milestones
from controller.pipeline import params
from controller.pipeline.graph import ExpandedStep, ancestors, expand
from controller.pipeline.lint import check_definition
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunFacts

Json = dict[str, Any]


class InvalidRunError(Exception):
    """The run can't be run as it stands; the message is for people."""


@dataclass
class RunState:
    """One run in work."""

    uid: str
    pipeline: Pipeline
    steps: tuple[ExpandedStep, ...]
    facts: RunFacts
    status: Json
    """As decided last; what is written may be a moment behind."""
    upstream: dict[str, tuple[str, ...]]
    """Step name -> slugs of the steps upstream that make artifacts."""
    created: dict[str, Json] = field(default_factory=dict)
    """Jobs by name, from the answers to our own requests: the cache may not have them yet."""
    milestones: dict[str, Milestones] = field(default_factory=dict)
    """By the pod's uid."""
    manifests: dict[tuple[str, int], Json | None] = field(default_factory=dict)
    """What the store said of an attempt's artifacts; None for nothing."""
    prepared: bool = False
    secret_values: dict[str, bytes] = field(default_factory=dict)
    """By their key in the run's own Secret."""
    missing_secrets: dict[str, str] = field(default_factory=dict)
    written: Json | None = None
    """The status that the API server has."""
    look_again: datetime | None = None


def read_run(run: Json) -> RunState:
    """The run's pipeline, expanded, and what it is about.

    Raises:
        InvalidRunError: the definition or the parameters are wrong.
    """
    spec, metadata = run["spec"], run["metadata"]
    definition = spec.get("pipeline") or {}
    problems = check_definition(definition)
    if problems:
        shown = "; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in problems[:3])
        raise InvalidRunError(f"the pipeline is not valid: {shown}")
    try:
        pipeline = Pipeline.model_validate(definition)
    except ValidationError as error:
        raise InvalidRunError(f"the pipeline is not valid: {error.errors()[0]['msg']}") from error
    values, wrong = params.resolve(definition.get("params") or [], spec.get("params") or {})
    if wrong:
        raise InvalidRunError("; ".join(sentence for _, sentence in wrong))
    steps = expand(pipeline)
    facts = RunFacts(
        metadata["name"],
        (metadata.get("labels") or {}).get(RUN_NUMBER, ""),
        spec.get("commit") or "",
        spec.get("branch") or "",
        values,
    )
    written = run.get("status")
    return RunState(metadata["uid"], pipeline, steps, facts, written or {}, _upstream(steps), written=written)


def _upstream(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    by_name = {step.name: step for step in steps}
    return {
        name: tuple(by_name[other].slug for other in above if by_name[other].step.artifacts)
        for name, above in ancestors(steps).items()
    }
