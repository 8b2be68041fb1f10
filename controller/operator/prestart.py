"""Which steps of a run may have their pods made before they are due, by their definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.operator.cache.run_plan import RunPlan
from controller.operator.settings import OperatorSettings
from controller.operator.workload.job import JobSpec
from controller.pipeline.conditions import dependency_policy

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject


def find_prestartable(run: RunObject, plan: RunPlan, settings: OperatorSettings) -> frozenset[str]:
    """Names of the steps whose pods may be made before they are due, by their definition.

    Not those with secrets, which a pod has from its start; not those with services, whose commands would begin with it;
    and not those without an agent, whose commands would.
    """
    always = settings.step_agents == "always"
    found = set()
    for step in plan.steps:
        upstream = plan.artifact_producers[step.name]
        is_clone = step.name == plan.source_step
        spec = JobSpec(run, plan.pipeline, step, 1, plan.run_context, upstream, is_clone, always)
        if (
            spec.has_agent
            and step.depends_on
            and not (step.step.secrets or step.step.secret_providers or step.step.services)
        ):
            found.add(step.name)
    return frozenset(found - set(plan.unmet_conditions) - _after_failures(plan))


def _after_failures(plan: RunPlan) -> set[str]:
    """Names of the steps that run only if another one fails, which is unlikely."""
    conditionals = ((step.name, step.step.conditional) for step in plan.steps)
    return {
        name
        for name, conditional in conditionals
        if conditional is not None and dependency_policy(conditional.fields()) == "failure"
    }
