"""Loads what is needed to say how much of a run was reused, and why the rest ran again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from workbench.client.errors import ClientError
from workbench.client.models import Run, Step
from workbench.report.details import Detail
from workbench.report.reuse import FileChanges, ReuseCount, changed_files, count_reuse, explain_reruns
from workbench.session.source_manifests import SourceManifests

_MAX_ORIGINS = 10
"""Maximum number of runs that are loaded for the times of reused steps."""


class RunReader(Protocol):
    """The API call that an explanation needs."""

    async def run(self, name: str) -> Run: ...


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
    if not run.may_reuse:
        return None
    origins = {step.reused.run for step in run.steps if step.reused is not None} - {run.reuse_from}
    known: dict[str, Run] = {}
    problem = None
    named = () if run.reuse_from is None else (run.reuse_from,)
    for name in (*named, *sorted(origins)[:_MAX_ORIGINS]):
        try:
            known[name] = await api.run(name)
        except ClientError as error:
            problem = problem or (str(error) if name == run.reuse_from else None)
    count = count_reuse(run, known.get, now)
    assert count is not None
    earlier = known.get(run.reuse_from or "")
    if earlier is None:
        return ReuseExplanation(count, problem=problem)
    files = await asyncio.to_thread(_changed_files, manifests, earlier, run)
    return ReuseExplanation(count, explain_reruns(run, earlier, files))


def _changed_files(manifests: SourceManifests, earlier: Run, run: Run) -> FileChanges | None:
    before, after = (
        next((found for uid in each.source_uids if (found := manifests.load(uid)) is not None), None)
        for each in (earlier, run)
    )
    return changed_files(before, after) if before is not None and after is not None else None
