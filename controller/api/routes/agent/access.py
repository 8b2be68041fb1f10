"""What the token of an agent gives access to: what the definition of its step names, until its attempt has ended."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request

from controller.api.artifacts.keys import ArtifactKey, find_step
from controller.api.auth.authorize import unauthenticated
from controller.api.http.problems import ApiProblemError
from controller.api.runs.find import find_run, reread_run
from controller.api.state import AppState, Capability
from controller.capability import AgentRole
from controller.operator.cache.run_plan import InvalidRunError, RunPlan, is_unresolved
from controller.operator.plan_loader import PlanDeferredError, PlanLoader
from controller.operator.run_object import as_run, is_from_fork
from controller.operator.workload.debug_copies import keeps_workspace
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.templates import find_references
from controller.pipeline.variables import render, template_context
from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES

_MAX_PLANS = 64


@dataclass(frozen=True)
class AttemptAccess:
    """The attempt that a token is for: its run, what that is going to do, and its step."""

    run: Mapping[str, Any]
    plan: RunPlan
    step: ExpandedStep
    attempt: int

    @property
    def key(self) -> ArtifactKey:
        """The key of the attempt's own artifacts."""
        meta = self.run["metadata"]
        return ArtifactKey(str(meta["namespace"]), str(meta["uid"]), self.step.slug, self.attempt)

    def check_upstream(self, slug: str) -> None:
        """Raises a problem unless the step depends on this one, and this one has artifacts."""
        if slug not in self.plan.artifact_producers[self.step.name]:
            raise _forbidden(f"{self.step.name} does not depend on a step {slug} with artifacts")

    def check_artifacts(self) -> None:
        """Raises a problem unless the step has artifacts."""
        if not self.step.step.has_artifacts:
            raise _forbidden(f"the step {self.step.name} has no artifacts")

    def check_workspace(self) -> None:
        """Raises a problem unless the step's workspace is saved when it fails."""
        if is_from_fork(as_run(dict(self.run))) or not keeps_workspace(self.plan.pipeline, self.step.step):
            raise _forbidden(f"the workspace of {self.step.name} is not saved")

    def check_trusted(self) -> None:
        """Raises a problem for a run of a pull request from a fork: what it stored, others would restore."""
        if is_from_fork(as_run(dict(self.run))):
            raise _forbidden("the run of a pull request from a fork saves no caches")

    def check_clone(self) -> None:
        """Raises a problem unless the step clones the run's source."""
        if self.step.name != self.plan.source_step:
            raise _forbidden(f"the step {self.step.name} is not a clone step")

    def check_cache_key(self, key: str) -> None:
        """Raises a problem unless the step's definition leads to this key of a cache."""
        context = self.plan.run_context
        if source := (self.run.get("status") or {}).get("source"):
            context = replace(context, commit=source["commit"])
        values = template_context(context, self.step.matrix)
        if not any(cache_key_pattern(render(each.key, values)).fullmatch(key) for each in self.step.step.cache):
            raise _forbidden(f"the step {self.step.name} has no cache with this key")


def cache_key_pattern(rendered: str) -> re.Pattern[str]:
    """What the agent makes of a key, in which it replaces each `{{hash FILE}}` by a SHA-256."""
    pattern, at = "", 0
    for reference in find_references(rendered):
        if reference.file:
            begin = rendered.index(reference.text, at)
            pattern += re.escape(rendered[at:begin]) + "[0-9a-f]{64}"
            at = begin + len(reference.text)
    return re.compile(pattern + re.escape(rendered[at:]), re.DOTALL)


async def authorize_agent(
    state: AppState,
    request: Request,
    role: AgentRole,
    slug: str | None = None,
    attempt: int | None = None,
    *,
    after_retry: bool = False,
) -> AttemptAccess:
    """The attempt of the request's token, which must be for this role, and for this step and attempt if they are given.

    Args:
        after_retry: also once the next attempt was made, as long as the pod of this one has not ended: for what
            belongs to this attempt alone.

    Raises a problem for another role, step or attempt, for a run that is another one by now, and for an attempt that
    has ended.
    """
    capability: Capability = request.state.capability
    run = await find_run(state, capability.namespace, capability.run)
    if run["metadata"].get("uid") != capability.uid:
        raise unauthenticated("the token belongs to a run that no longer exists")
    if capability.role != role:
        raise _forbidden(f"the token is for the agent {capability.role}, this call is for {role}")
    if slug not in (None, capability.slug) or attempt not in (None, capability.attempt):
        raise _forbidden(f"the token is for attempt {capability.attempt} of the step {capability.slug}")
    if has_ended(run, capability.slug, capability.attempt, after_retry=after_retry):
        detail = f"attempt {capability.attempt} of the step {capability.slug} has ended, and its token with it"
        raise ApiProblemError("conflict", detail)
    if not run["spec"].get("pipeline"):
        # The cache lags behind the operator, which has filled it in.
        run = await reread_run(state, run)
    plan = await _load_plan(state, run)
    step = next((each for each in plan.steps if each.slug == capability.slug), None)
    if step is None:
        raise ApiProblemError("not-found", f"the run {capability.run} has no step {capability.slug}")
    return AttemptAccess(run, plan, step, capability.attempt)


def has_ended(run: Mapping[str, Any], slug: str, attempt: int, *, after_retry: bool = False) -> bool:
    """Whether nothing of an attempt runs any more, or (without `after_retry`) the next one was made.

    One that the status does not have yet has not even started.
    """
    status = run.get("status") or {}
    if status.get("phase") in FINAL_RUN_PHASES:
        return True
    step = find_step(run, slug)
    attempts = (step or {}).get("attempts") or ()
    own = next((each for each in attempts if each["number"] == attempt), None)
    if own is None or own.get("phase") not in FINAL_STEP_PHASES:
        return False
    return "ended" in (own.get("times") or {}) or (
        not after_retry and any(each["number"] > attempt for each in attempts)
    )


async def _load_plan(state: AppState, run: Mapping[str, Any]) -> RunPlan:
    """The plan of a run, whose definition does not change once agents run; of the last few runs it is remembered.

    One that takes its pipeline from the repository has another plan as long as only the clone step runs.
    """
    uid = str(run["metadata"]["uid"]) + ("/unresolved" if is_unresolved(run["spec"]) else "")
    plan = state.plans.get(uid)
    if plan is None:
        try:
            plan = await PlanLoader(state.worker).load(as_run(dict(run)))
        except InvalidRunError as error:
            raise ApiProblemError("not-found", str(error)) from error
        except PlanDeferredError:
            raise ApiProblemError("unavailable", "the plans of other large runs are being loaded") from None
        state.plans[uid] = plan
        while len(state.plans) > _MAX_PLANS:
            del state.plans[next(iter(state.plans))]
    return plan


def _forbidden(detail: str) -> ApiProblemError:
    return ApiProblemError("forbidden", detail)
