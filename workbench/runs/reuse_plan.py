"""Loads what a forecast of reuse needs: the earlier run, and the files that both runs are made from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from workbench.client.models import Run
from workbench.pipeline_file.preview import planned_steps
from workbench.report.reuse import FileChanges, changed_files
from workbench.report.reuse_forecast import PlannedRun, ReuseForecast, forecast_reuse
from workbench.session.source_manifests import SourceManifests
from workbench.submit.submit import PackedSource


class RunReader(Protocol):
    """The API call that a plan needs."""

    async def run(self, name: str) -> Run: ...


@dataclass(frozen=True)
class ReusePlan:
    """Makes forecasts for a definition with different parameters."""

    definition: Mapping[str, Any]
    earlier: Run
    files: FileChanges | None
    branch: str | None
    commit: str | None
    find: Callable[[str], Run | None]
    now: datetime

    def forecast(self, params: Mapping[str, str]) -> ReuseForecast:
        """What a run with these parameters would reuse."""
        steps = planned_steps(self.definition)
        planned = PlannedRun(self.definition, steps, params, self.branch, self.commit)
        return forecast_reuse(planned, self.earlier, self.files, self.find, self.now)


async def plan_reuse(
    api: RunReader,
    earlier: str,
    definition: Mapping[str, Any],
    source: PackedSource | None,
    manifests: SourceManifests,
    find: Callable[[str], Run | None],
    now: datetime,
) -> ReusePlan:
    """Load the earlier run and compare its files with the packed ones. Raises ClientError."""
    run = await api.run(earlier)
    files: FileChanges | None = FileChanges()
    commit = source.commit if source is not None else None
    if source is not None:
        before = await asyncio.to_thread(_manifest, manifests, run)
        files = changed_files(before, source.archive.manifest) if before is not None else None
    return ReusePlan(
        definition, run, files, commit.branch if commit is not None else None,
        commit.label if commit is not None else None, find, now,
    )  # fmt: skip


def _manifest(manifests: SourceManifests, run: Run) -> Mapping[str, str] | None:
    return next((found for uid in run.source_uids if (found := manifests.load(uid)) is not None), None)
