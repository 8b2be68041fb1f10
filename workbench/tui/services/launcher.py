"""Starts runs: of a pipeline file on the working tree around it, as `c8s run` does; or of one kept in the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.client.models import SavedPipeline
from workbench.client.run_request import RunRequest
from workbench.pipeline_file.load import LintOutcome, PipelineFileError, read_bytes
from workbench.pipeline_file.load import lint_pipeline as check_file
from workbench.submit.submit import RunSubmission, describe_source, new_idempotency_key, pack_worktree, submit
from workbench.submit.worktree import WorktreeError, tree_root
from workbench.tui.services.interfaces import ControllerApi, LaunchError, LaunchResult


class FileLauncher:
    """One pipeline file, read anew for each run."""

    def __init__(self, path: Path, check: Callable[[bytes | str], LintOutcome] = check_file) -> None:
        self.path = path
        self._check = check

    async def definition(self, *, text: str | None = None) -> Mapping[str, Any] | None:
        """The pipeline in the file, or in `text`; None when it has errors. Raises LaunchError."""
        try:
            data = text if text is not None else await asyncio.to_thread(read_bytes, self.path)
        except PipelineFileError as error:
            raise LaunchError(str(error)) from error
        return (await asyncio.to_thread(self._check, data)).definition

    async def launch(
        self,
        controller: ControllerApi,
        *,
        text: str | None = None,
        params: Mapping[str, str] | None = None,
        reuse_from: str | None = None,
    ) -> LaunchResult:
        try:
            data = text if text is not None else await asyncio.to_thread(read_bytes, self.path)
            checked = await asyncio.to_thread(self._check, data)
            if checked.definition is None:
                return LaunchResult(None, checked.problems)
            request = RunRequest(checked.definition, event="push", params=params, reuse_from=reuse_from)
            submission = RunSubmission(
                request, new_idempotency_key(), tree=tree_root(self.path, Path.cwd()), file=self.path
            )
            async with pack_worktree(submission.tree, submission.file) as packed:
                source = await packed
                run = await submit(controller, submission, source)
                warnings = source.archive.warnings if source is not None else ()
                return LaunchResult(run, checked.problems, warnings, describe_source(source))
        except (PipelineFileError, WorktreeError) as error:
            raise LaunchError(str(error)) from error


class SavedPipelineLauncher:
    """A pipeline that is kept in the cluster, run without files of this machine."""

    def __init__(self, pipeline: SavedPipeline) -> None:
        self.path = Path(pipeline.name)
        self._definition = pipeline.definition

    async def definition(self, *, text: str | None = None) -> Mapping[str, Any] | None:
        return self._definition

    async def launch(
        self,
        controller: ControllerApi,
        *,
        text: str | None = None,
        params: Mapping[str, str] | None = None,
        reuse_from: str | None = None,
    ) -> LaunchResult:
        request = RunRequest(self._definition, event="push", params=params, reuse_from=reuse_from)
        submission = RunSubmission(request, new_idempotency_key())
        return LaunchResult(await submit(controller, submission, None), source=describe_source(None))
