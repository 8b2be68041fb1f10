"""The steps of a pipeline that is being edited.

For a valid file, they are the steps of a run; for an invalid one, those that can be
recognized, so that the graph does not disappear while the user types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.run_types.phases import StepPhase
from workbench.client.models import Step

MAX_STEPS = 300
"""Maximum number of steps, as for a pipeline."""


def preview_steps(text: str | bytes) -> tuple[Step, ...] | None:
    """The pending steps with their dependencies; None if the text is not readable as YAML."""
    from controller.pipeline import normalize
    from controller.pipeline.lint import schema_errors
    from controller.pipeline.reader import loader

    data = loader.load_pipeline(text, schema_errors.strict_schema()).data
    return planned_steps(normalize.normalize_matrices(data)) if isinstance(data, dict) else None


def planned_steps(data: Mapping[str, Any]) -> tuple[Step, ...]:
    """The pending steps of a definition with normalized matrices, as those of a run. Names of steps are their slugs."""
    steps = [step for step in _dicts(data.get("steps")) if isinstance(step.get("name"), str)]
    outer = _combinations(data.get("matrix"))
    members: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for step in steps:
        made = [(mine, own) for mine in outer for own in _combinations(step.get("matrix"))]
        members.setdefault(step["name"], [(_name(step["name"], mine, own), mine) for mine, own in made])
    planned = list(_planned(steps, members))
    return tuple(planned[:MAX_STEPS])


def _planned(
    steps: Sequence[Mapping[str, Any]], members: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]]
) -> Iterator[Step]:
    seen: set[str] = set()
    for step in steps:
        if step["name"] in seen:
            continue
        seen.add(step["name"])
        dependencies = [name for name in step.get("dependsOn") or () if isinstance(name, str)]
        for name, mine in members[step["name"]]:
            needs = tuple(other for dep in dependencies for other, theirs in members.get(dep, ()) if theirs == mine)
            allowed = step.get("allowFailure") is True
            yield Step(
                name=name,
                slug=name,
                depends_on=needs,
                allow_failure=allowed,
                phase=StepPhase.PENDING,
                reason=None,
                message=None,
                start_time=None,
                completion_time=None,
                artifact_count=0,
                attempts=(),
            )


def _combinations(matrix: Any) -> list[dict[str, str]]:
    from controller.pipeline.graph import matrix as expansion

    dimensions = matrix.get("dimensions") if isinstance(matrix, dict) else None
    if not isinstance(dimensions, dict) or not all(_texts(values) for values in dimensions.values()):
        return [{}]
    if expansion.count_combinations(dimensions) > MAX_STEPS:
        return [{}]
    exclude = [
        part
        for part in _dicts(matrix.get("exclude"))
        if all(isinstance(word, str) for pair in part.items() for word in pair)
    ]
    return expansion.combinations(dimensions, exclude)


def _name(name: str, mine: Mapping[str, str], own: Mapping[str, str]) -> str:
    from controller.pipeline.graph.matrix import expanded_step_name

    return expanded_step_name(name, {**mine, **own})


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
