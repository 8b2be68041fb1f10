"""Launchers: one for a pipeline file and the working tree around it, one for a pipeline saved in the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from workbench.client.models import Run, SavedPipeline
from workbench.client.run_request import RunRequest
from workbench.pipeline_file.load import LintOutcome, PipelineFileError, lint_pipeline, read_bytes
from workbench.session.source_manifests import SourceManifests, default_manifests
from workbench.submit.repository import WorktreeError
from workbench.submit.submit import PackedSource, RunSubmission, new_idempotency_key, pack_worktree, submit
from workbench.submit.worktree import tree_root
from workbench.tui.services.interfaces import ControllerApi, LaunchError, LaunchResult


class FileLauncher:
    """Starts runs of one pipeline file, as `c8s run` does. The file is read again for each run."""

    def __init__(
        self,
        path: Path,
        lint: Callable[[bytes | str], LintOutcome] = lint_pipeline,
        manifests: SourceManifests | None = None,
    ) -> None:
        self.path = path
        self._lint = lint
        self._manifests = manifests if manifests is not None else default_manifests()

    async def load(self, text: str | None = None) -> LintOutcome:
        try:
            data = text if text is not None else await asyncio.to_thread(read_bytes, self.path)
        except PipelineFileError as error:
            raise LaunchError(str(error)) from error
        return await asyncio.to_thread(self._lint, data)

    async def launch(
        self,
        controller: ControllerApi,
        definition: Mapping[str, Any],
        *,
        params: Mapping[str, str] | None = None,
        reuse_from: str | None = None,
        failed_tests_of: str | None = None,
        source: PackedSource | None = None,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> LaunchResult:
        submission = self._submission(
            RunRequest(
                definition,
                event="push",
                params=params,
                reuse_from=reuse_from,
                failed_tests_of=failed_tests_of,
                breakpoints=breakpoints,
            )
        )
        if source is not None:
            return await self._submit(controller, submission, source)
        async with self.packed(definition) as packed:
            return await self._submit(controller, submission, packed)

    @asynccontextmanager
    async def packed(self, definition: Mapping[str, Any]) -> AsyncGenerator[PackedSource | None, None]:
        submission = self._submission(RunRequest(definition))
        async with pack_worktree(submission.tree, submission.file, history=submission.has_history) as packing:
            try:
                source = await packing
            except WorktreeError as error:
                raise LaunchError(str(error)) from error
            yield source

    def _submission(self, request: RunRequest) -> RunSubmission:
        tree = tree_root(self.path, Path.cwd())
        return RunSubmission(request, new_idempotency_key(), tree=tree, file=self.path)

    async def _submit(
        self, controller: ControllerApi, submission: RunSubmission, source: PackedSource | None
    ) -> LaunchResult:
        run = await submit(controller, submission, source)
        if source is None:
            return LaunchResult(run)
        return LaunchResult(run, source.archive.warnings + await self._remember_files(run, source))

    async def _remember_files(self, run: Run, source: PackedSource) -> tuple[str, ...]:
        """Save which files the run is made from, so that a later one can tell what has changed; warnings."""
        try:
            await asyncio.to_thread(self._manifests.save, run.uid, source.archive.manifest)
        except OSError as error:
            return (f"The names of the files can't be saved for later comparisons: {error}",)
        return ()


class SavedPipelineLauncher:
    """Starts runs of a pipeline that is saved in the cluster; no local files are sent."""

    def __init__(self, pipeline: SavedPipeline) -> None:
        self.path = Path(pipeline.name)
        self._definition = pipeline.definition

    async def load(self, text: str | None = None) -> LintOutcome:
        return LintOutcome((), self._definition)

    @asynccontextmanager
    async def packed(self, definition: Mapping[str, Any]) -> AsyncGenerator[PackedSource | None, None]:
        yield None

    async def launch(
        self,
        controller: ControllerApi,
        definition: Mapping[str, Any],
        *,
        params: Mapping[str, str] | None = None,
        reuse_from: str | None = None,
        failed_tests_of: str | None = None,
        source: PackedSource | None = None,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> LaunchResult:
        request = RunRequest(
            definition,
            event="push",
            params=params,
            reuse_from=reuse_from,
            failed_tests_of=failed_tests_of,
            breakpoints=breakpoints,
        )
        submission = RunSubmission(request, new_idempotency_key())
        return LaunchResult(await submit(controller, submission, None))
