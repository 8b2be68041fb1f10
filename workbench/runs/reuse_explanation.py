"""Loads what is needed to say how much of a run was reused, and why the rest ran again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from workbench.client.errors import ClientError
from workbench.client.models import Run, Step
from workbench.client.step_reuse import StepReuse
from workbench.report.details import Detail
from workbench.report.reuse import FileChanges, ReuseCount, changed_files, count_reuse, explain_reruns
from workbench.session.source_manifests import SourceManifests

_MAX_ORIGINS = 10
"""Maximum number of runs that are loaded for the times of reused steps."""
_MAX_EXPLAINED = 10
"""Maximum number of steps that the controller is asked about."""
_MAX_NAMES = 5
"""Maximum number of names of each kind of difference."""


class RunReader(Protocol):
    """The API calls that an explanation needs."""

    async def run(self, name: str) -> Run: ...

    async def explain_step(self, name: str, step: str) -> StepReuse: ...


@dataclass(frozen=True)
class ReuseExplanation:
    """How much was reused, and for each step that ran again what was different."""

    count: ReuseCount
    reruns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str | None = None
    """Why the steps can't be compared with those of the earlier run."""


def reuse_details(found: ReuseExplanation, step: Step | None) -> tuple[Detail, ...]:
    """Why the step ran again, or without one, what was reused and why each other step ran again."""
    if step is not None:
        reasons = found.reruns.get(step.name)
        return (Detail("ran again", "; ".join(reasons)),) if reasons else ()
    again = (Detail("ran again", f"{name}: {'; '.join(reasons)}") for name, reasons in found.reruns.items())
    problem = (Detail("not compared", found.problem),) if found.problem is not None else ()
    return (Detail("reuse", f"{found.count} (from {found.count.earlier})"), *again, *problem)


async def explain_reuse(api: RunReader, run: Run, manifests: SourceManifests, now: datetime) -> ReuseExplanation | None:
    """The explanation of a run with its definition; None for a run that was not started to reuse anything.

    Runs that were deleted, or can't be loaded, make it shorter.
    """
    known, problem = await _load_origins(api, run)
    count = count_reuse(run, known.get, now)
    if count is None:
        return None
    earlier = known.get(run.reuse_from or "")
    if run.reuse_from is None:
        return ReuseExplanation(count, await _explain_reruns(api, run))
    if earlier is None:
        return ReuseExplanation(count, problem=problem)
    files = await asyncio.to_thread(_changed_files, manifests, earlier, run)
    return ReuseExplanation(count, explain_reruns(run, earlier, files))


async def load_reuse_count(api: RunReader, run: Run, now: datetime) -> ReuseCount | None:
    """How much of a run was reused, and the time that this has saved; None if it was not to reuse anything."""
    return count_reuse(run, (await _load_origins(api, run))[0].get, now)


async def _load_origins(api: RunReader, run: Run) -> tuple[dict[str, Run], str | None]:
    """The runs that a run has reused by name, and why the one that it names can't be loaded, if so."""
    origins = {step.reused.run for step in run.steps if step.reused is not None} - {run.reuse_from}
    known: dict[str, Run] = {}
    problem = None
    named = () if run.reuse_from is None else (run.reuse_from,)
    for name in (*named, *sorted(origins)[:_MAX_ORIGINS]):
        try:
            known[name] = await api.run(name)
        except ClientError as error:
            problem = problem or (str(error) if name == run.reuse_from else None)
    return known, problem


async def _explain_reruns(api: RunReader, run: Run) -> dict[str, tuple[str, ...]]:
    """For the first steps that ran: what differs, as the controller says."""
    found: dict[str, tuple[str, ...]] = {}
    for step in [step for step in run.steps if step.reused is None and step.attempts][:_MAX_EXPLAINED]:
        try:
            explained = await api.explain_step(run.name, step.slug)
        except ClientError:
            continue  # An older controller, or the run is gone: the explanation is shorter.
        found[step.name] = tuple(explained.details(_MAX_NAMES)) or (explained.reason,)
    return found


def _changed_files(manifests: SourceManifests, earlier: Run, run: Run) -> FileChanges | None:
    before, after = (
        next((found for uid in each.source_uids if (found := manifests.load(uid)) is not None), None)
        for each in (earlier, run)
    )
    return changed_files(before, after) if before is not None and after is not None else None
