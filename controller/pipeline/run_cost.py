"""Bounds of what is computed for one run, checked by counting before any of it is computed.

A definition within the limits of the format can still describe a large product: a long value in many references, a
matrix times a long script, many globs times many changed files. The API refuses such a run, and the operator ends one
that was created without the API.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from controller.pipeline.conditions import MAX_MATCHED_CHARACTERS
from controller.pipeline.diagnostics import quote
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline, Step
from controller.pipeline.templates import TemplateSize, env_variable_name
from controller.pipeline.variables import RunContext, template_context

MAX_FILLED_BYTES = 128 * 1024 - 1
"""Maximum size of a text once its references are filled in: Linux takes no longer argument or variable."""
MAX_GROUP_BYTES = 1_024
"""Maximum size of the filled-in name of a concurrency group."""
MAX_STEP_BYTES = 1024 * 1024
"""Maximum size of all texts of one expanded step, filled in, with its parameters and variables."""
MAX_RUN_BYTES = 16 * 1024 * 1024
"""Maximum size of all texts of all expanded steps."""

MAX_INLINE_BYTES = 8 * 1024
"""Size of a definition up to which preparing the run takes a few milliseconds."""
MAX_THREAD_BYTES = 64 * 1024
"""Size of a definition up to which it takes less than a second."""
_MAX_INLINE_MATCHES, _MAX_THREAD_MATCHES = 20_000, 500_000
"""Globs times characters of changed files, likewise."""


class RunTooExpensiveError(Exception):
    """Computing the run would exceed a bound. The message says which, and what to do."""


def check_run_cost(
    pipeline: Pipeline, steps: Sequence[ExpandedStep], context: RunContext, changed: Sequence[str] | None
) -> None:
    """Check the bounds of a run, by counting.

    Args:
        changed: its changed files; None if they are unknown.

    Raises:
        RunTooExpensiveError: a bound is exceeded.
    """
    _check_globs((step.step for step in steps), changed or ())
    _check_group(pipeline, context)
    sizes = _Sizes(pipeline, context)
    total = 0
    for step in steps:
        size = sizes.of_step(step)
        if size > MAX_STEP_BYTES:
            raise _too_many_bytes(f"the step {quote(step.name)} has {size:,} bytes of texts", MAX_STEP_BYTES)
        total += size
    if total > MAX_RUN_BYTES:
        raise _too_many_bytes(f"the {len(steps)} steps have {total:,} bytes of texts", MAX_RUN_BYTES)


def _too_many_bytes(found: str, limit: int) -> RunTooExpensiveError:
    return RunTooExpensiveError(
        f"{found} once variables are filled in; at most {limit:,} are allowed: put long texts into files of the source"
    )


def _check_globs(steps: Iterable[Step], changed: Sequence[str]) -> None:
    globs = {glob for step in steps if step.conditional for glob in step.conditional.paths or ()}
    count = len(globs) * sum(map(len, changed))
    if count > MAX_MATCHED_CHARACTERS:
        raise RunTooExpensiveError(
            f"{len(globs):,} globs in `conditional.paths` would be compared with {len(changed):,} changed files: "
            f"{count:,} characters in all, and at most {MAX_MATCHED_CHARACTERS:,} are allowed; use fewer globs, or "
            "start the run without the list of changed files"
        )


def _check_group(pipeline: Pipeline, context: RunContext) -> None:
    if pipeline.concurrency is None:
        return
    size = TemplateSize(pipeline.concurrency.group).rendered(_value_sizes(template_context(context, {})))
    if size > MAX_GROUP_BYTES:
        raise RunTooExpensiveError(
            f"the name of the concurrency group has {size:,} bytes once variables are filled in; "
            f"at most {MAX_GROUP_BYTES:,} are allowed"
        )


class _Sizes:
    """Sizes of the texts of steps. Each text is read once, however many steps it is in."""

    def __init__(self, pipeline: Pipeline, context: RunContext) -> None:
        self._context = context
        self._constants = _value_sizes(template_context(context, {}))
        self._known: dict[int, tuple[int, tuple[TemplateSize, ...]]] = {}
        self._pipeline_env = _measure(pipeline.env)
        self._params = sum(
            len(env_variable_name("PARAM", name)) + self._constants[f"params.{name}"] for name in context.params
        )

    def of_step(self, step: ExpandedStep) -> int:
        """The size of an expanded step.

        Raises:
            RunTooExpensiveError: a single text becomes too long.
        """
        matrix = _value_sizes({f"matrix.{name}": value for name, value in step.matrix.items()})
        values = {**self._constants, **matrix}
        total = self._params + sum(matrix.values())
        for literal, templates in (self._pipeline_env, self._definition(step.step)):
            total += literal
            for template in templates:
                size = template.rendered(values)
                if size > MAX_FILLED_BYTES:
                    raise _too_many_bytes(f"a text of the step {quote(step.name)} has {size:,} bytes", MAX_FILLED_BYTES)
                total += size
        return total

    def _definition(self, step: Step) -> tuple[int, tuple[TemplateSize, ...]]:
        # By identity: a step of a matrix is the same object in all its combinations.
        known = self._known.get(id(step))
        if known is None:
            known = self._known[id(step)] = _measure(step.model_dump(by_alias=True, exclude_defaults=True, mode="json"))
        return known


def _measure(value: Any) -> tuple[int, tuple[TemplateSize, ...]]:
    """The size of all texts in a value without references, and those with references."""
    sizes = [TemplateSize(text) for text in _texts(value)]
    return sum(each.rendered({}) for each in sizes if not each.has_references), tuple(
        each for each in sizes if each.has_references
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _value_sizes(values: Mapping[str, str]) -> dict[str, int]:
    return {name: len(value.encode("utf-8", "surrogatepass")) for name, value in values.items()}


class Effort(Enum):
    """Where to compute what is needed of a run."""

    INLINE = auto()
    THREAD = auto()
    PROCESS = auto()


def estimate_effort(definition: Any, params: Any = None, changed: Sequence[str] | None = None) -> Effort:
    """How much work preparing a run may be, from the sizes of what it is computed from. They may have any shape."""
    size = len(json.dumps([definition, params]))
    matches = _count_globs(definition) * sum(map(len, changed or ()))
    if size <= MAX_INLINE_BYTES and matches <= _MAX_INLINE_MATCHES:
        return Effort.INLINE
    return Effort.THREAD if size <= MAX_THREAD_BYTES and matches <= _MAX_THREAD_MATCHES else Effort.PROCESS


def _count_globs(definition: Any) -> int:
    steps = definition.get("steps") if isinstance(definition, Mapping) else None
    steps = steps if isinstance(steps, list) else []
    conditionals = [each.get("conditional") for each in steps if isinstance(each, Mapping)]
    paths = [each.get("paths") for each in conditionals if isinstance(each, Mapping)]
    return sum(len(each) for each in paths if isinstance(each, list))
