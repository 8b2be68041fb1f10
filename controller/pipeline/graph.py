"""The steps of a run: the matrix expanded, names and slugs given, and who waits for whom."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.pipeline.expansion import combinations
from controller.pipeline.model import Pipeline, Step

_SLUG_LENGTH = 40


@dataclass(frozen=True)
class ExpandedStep:
    """A step as it runs. `slug` is a DNS label, unique in the run; `depends_on` holds names after expansion."""

    name: str
    slug: str
    step: Step
    matrix: Mapping[str, str]
    depends_on: tuple[str, ...]


def slug_of(name: str) -> str:
    """A DNS label of at most 40 characters for a name; another name gets another slug."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name and len(plain) <= _SLUG_LENGTH:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{plain[: _SLUG_LENGTH - 7].strip('-') or 'step'}-{digest}"


def expand(pipeline: Pipeline) -> tuple[ExpandedStep, ...]:
    """All steps in the order of the file; a matrix step's combinations in the order of its values.

    Who depends on a matrix step waits for all of it, except that a step of a pipeline-wide matrix waits for the
    steps of its own combination.
    """
    outer = combinations(pipeline.matrix.dimensions, pipeline.matrix.exclude) if pipeline.matrix else [{}]
    members: dict[str, list[tuple[str, dict[str, str], dict[str, str]]]] = {}
    for step in pipeline.steps:
        inner = combinations(step.matrix.dimensions, step.matrix.exclude) if step.matrix else [{}]
        members[step.name] = [(_name(step.name, {**a, **b}), a, b) for a in outer for b in inner]
    expanded = []
    for step in pipeline.steps:
        for name, mine, own in members[step.name]:
            needs = tuple(
                other for wanted in step.depends_on for other, theirs, _ in members.get(wanted, ()) if theirs == mine
            )
            expanded.append(ExpandedStep(name, slug_of(name), step, {**mine, **own}, needs))
    return tuple(expanded)


def _name(name: str, values: Mapping[str, str]) -> str:
    if not values:
        return name
    return f"{name} ({', '.join(f'{key}={value}' for key, value in values.items())})"


def ancestors(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    """For each step all steps upstream of it, in the order of the file."""
    needs = {step.name: step.depends_on for step in steps}
    order = [step.name for step in steps]
    result: dict[str, tuple[str, ...]] = {}
    for name in order:
        seen: set[str] = set()
        left = list(needs[name])
        while left:
            current = left.pop()
            if current not in seen:
                seen.add(current)
                left += needs.get(current, ())
        result[name] = tuple(other for other in order if other in seen)
    return result
