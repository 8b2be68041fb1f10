"""Decodes the run of a bundle. What the API guarantees of a run is checked here, since anyone can write a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter

from workbench.bundle.errors import BundleError
from workbench.client import decode
from workbench.client.models import Run

_MAX_STEPS = 500
"""A pipeline has at most 300."""
_MAX_ATTEMPTS = 5_000
_MAX_EDGES = 50_000
"""Two matrices that depend on each other have at most 22,500."""
_EARLIEST, _LATEST = datetime(1971, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def parse_run(raw: object, *, unfinished: bool = False) -> Run:
    """The run of the document `run.json`. A definition that is not a valid one is left out.

    Args:
        unfinished: the file says that the run had not ended.

    Raises:
        BundleError: it has no name or no end, too many steps, two of one name, a circle, or impossible times.
    """
    run = decode.decode_run(raw if isinstance(raw, dict) else {})
    if not run.name or run.ended is unfinished:
        raise BundleError(f"its run has no name, or has {'ended already' if unfinished else 'not ended'}")
    if len(run.steps) > _MAX_STEPS or sum(len(step.attempts) for step in run.steps) > _MAX_ATTEMPTS:
        raise BundleError(f"its run has more than {_MAX_STEPS} steps or {_MAX_ATTEMPTS:,} attempts")
    names, slugs = {step.name for step in run.steps}, {step.slug for step in run.steps}
    if not len(names) == len(slugs) == len(run.steps) or "" in names:
        raise BundleError("two of its steps have the same name, or one has none")
    if sum(len(step.depends_on) for step in run.steps) > _MAX_EDGES:
        raise BundleError("its steps have too many dependencies")
    try:
        TopologicalSorter({step.name: step.depends_on for step in run.steps}).prepare()
    except CycleError:
        raise BundleError("its steps depend on each other in a circle") from None
    if any(moment is not None and plausible(moment) is None for moment in _moments(run)):
        raise BundleError("its run has impossible times")
    if run.definition is not None and not _is_valid(run.definition):
        run = replace(run, definition=None)
    return run


def plausible(moment: datetime | None) -> datetime | None:
    """A time that all code can compute with; None for another one."""
    try:
        return moment if moment is not None and _EARLIEST <= moment <= _LATEST else None
    except OverflowError:
        return None


def _moments(run: Run) -> Iterator[datetime | None]:
    yield from (run.created_at, run.start_time, run.completion_time)
    for step in run.steps:
        yield from (step.start_time, step.completion_time)
        for attempt in step.attempts:
            yield from vars(attempt.times).values()


def _is_valid(definition: Mapping[str, object]) -> bool:
    """Whether it is a pipeline, whatever lint says of it. A run's has no version, or that of its file."""
    from jsonschema import Draft202012Validator

    from controller.pipeline.lint import schema

    return bool(Draft202012Validator(schema()).is_valid({"version": "v1alpha1", **definition}))
