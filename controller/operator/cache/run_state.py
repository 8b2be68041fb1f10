"""What the operator remembers of a run between two looks. All of it can be found again in the cluster and the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from controller import labels
from controller.operator.cache.owned_resources import attempt_key_of
from controller.operator.decision.concurrency import concurrency_group
from controller.operator.decision.observation import CreateFailure, Milestones
from controller.operator.decision.reuse import ReusableStep, input_digests
from controller.operator.workload.clone_step import add_clone_step
from controller.operator.workload.debug_copies import debug_source
from controller.pipeline import params
from controller.pipeline.graph.expand import ExpandedStep, ancestors, expand_steps
from controller.pipeline.lint import check_definition
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext
from controller.run_types.keys import AttemptKey

Json = dict[str, Any]


class InvalidRunError(Exception):
    """The run can't be run as it stands; the message is for people."""


@dataclass
class RunState:
    """One run in work."""

    uid: str
    pipeline: Pipeline
    steps: tuple[ExpandedStep, ...]
    run_context: RunContext
    status: Json
    """As decided last; what is written may be a moment behind."""
    upstream: dict[str, tuple[str, ...]]
    """Step name -> slugs of the steps upstream that make artifacts."""
    source_step: str | None
    """The name of the step that clones, in a run on a repository."""
    first_seen: datetime
    """When this process began to look at it."""
    resource_version: str
    """The resourceVersion that our next write stands on."""
    server_status: Json
    """The status as the API server answered it last; another one there means that somebody else writes it."""
    created_jobs: dict[str, Json] = field(default_factory=dict)
    """Jobs by name, from the answers to our own requests: the cache may not have them yet."""
    deleted_job_uids: set[str] = field(default_factory=set)
    """The uids of Jobs that were seen to go."""
    missing_jobs: set[str] = field(default_factory=set)
    """Names of Jobs that the API server does not have."""
    create_failures: dict[AttemptKey, CreateFailure] = field(default_factory=dict)
    create_failure_counts: Counter[AttemptKey] = field(default_factory=Counter)
    """How often each attempt was refused."""
    settled_steps: frozenset[str] = frozenset()
    """Slugs of steps that are over and of which nothing was left to be learnt when they were looked at last."""
    milestones: dict[str, Milestones] = field(default_factory=dict)
    """By the pod's uid."""
    manifests: dict[AttemptKey, Json | None] = field(default_factory=dict)
    """What the store said of an attempt's artifacts; None for nothing."""
    workspaces: dict[AttemptKey, Json | None] = field(default_factory=dict)
    """What the store said of the workspace of an attempt that failed; None for nothing."""
    secrets_ready: bool = False
    prepare_error: str = ""
    """Why the run's Secrets could not be made."""
    secret_values: dict[str, bytes] = field(default_factory=dict)
    """By their key in the run's own Secret."""
    missing_secrets: dict[str, str] = field(default_factory=dict)
    sent_status: Json | None = None
    """The status that was last tried to write, whether or not that was answered."""
    written_status: Json | None = None
    """The status that was written last."""
    reusable: dict[str, ReusableStep] | None = None
    """What the run named by `reuseFrom` has, by what it is made of; None before it was asked for."""
    _input_digests: tuple[Json | None, dict[str, str]] | None = None
    """What the steps are made of, and the source that was known then."""
    group: str | None = None
    """Its concurrency group, filled in."""
    holds_lock: bool = False
    """The group's Lease is its own, until it ends."""
    is_done: bool = False
    """Its last status is written, and nothing is left to be done."""

    def input_digests(self, spec: Json) -> dict[str, str]:
        """For each step the digest of what it is made of, as far as it is known."""
        source = self.status.get("source")
        if self._input_digests is None or self._input_digests[0] != source:
            found = input_digests(self.pipeline, self.steps, self.run_context, spec, source, self.source_step)
            self._input_digests = source, found
        return self._input_digests[1]

    def invalidate(self, obj: Json) -> None:
        """A Job or a pod has changed: its step is to be looked at again."""
        place = attempt_key_of(obj)
        if place is not None:
            self.settled_steps -= {place[0]}

    @property
    def has_started(self) -> bool:
        """Whether any step has an attempt."""
        return any(entry.get("attempts") for entry in self.status.get("steps") or [])


def load_run_state(run: Json, now: datetime) -> RunState:
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
    values, wrong = params.resolve_params(definition.get("params") or [], spec.get("params") or {})
    if wrong:
        raise InvalidRunError("; ".join(sentence for _, sentence in wrong))
    steps, source_step = add_clone_step(run, expand_steps(pipeline))
    # A copy of a failed step has the surroundings of what it is a copy of.
    copied = debug_source(run)
    facts = RunContext(
        copied["run"] if copied else metadata["name"],
        copied.get("number", "") if copied else (metadata.get("labels") or {}).get(labels.RUN_NUMBER, ""),
        spec.get("commit") or "",
        spec.get("branch") or "",
        values,
    )
    status = run.get("status") or {}
    return RunState(
        metadata["uid"],
        pipeline,
        steps,
        facts,
        status,
        _artifact_producers(steps, source_step),
        source_step,
        now,
        metadata["resourceVersion"],
        server_status=status,
        written_status=run.get("status"),
        group=concurrency_group(pipeline, facts),
    )


def _artifact_producers(steps: Sequence[ExpandedStep], source_step: str | None) -> dict[str, tuple[str, ...]]:
    by_name = {step.name: step for step in steps}
    return {
        name: tuple(by_name[o].slug for o in above if by_name[o].step.artifacts and o != source_step)
        for name, above in ancestors(steps).items()
    }
