"""Prepares the run that follows a save: reads and checks the pipeline, packs the tree and uploads it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.client.errors import ClientError, UnreachableError
from workbench.client.models import Run
from workbench.client.run_request import RunRequest
from workbench.client.source_delta import SourceDelta
from workbench.pipeline_file.load import LintOutcome, PipelineFileError, lint_pipeline, read_bytes
from workbench.submit.archive import SourceArchive
from workbench.submit.gzip_members import MemberCache
from workbench.submit.repository import WorktreeError
from workbench.submit.submit import PackedSource, RunApi, pack_worktree
from workbench.watching.file_changes import is_editors

Upload = Callable[[PackedSource], Awaitable[None]]


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to be created, or why it is not.

    Attributes:
        outcome: what lint says of the pipeline's file; None if it can't be read.
        source: the packed and uploaded tree; its archive is deleted already.
        problem: why nothing can be started, apart from what lint says; empty if it can.
        data: the content of the file, to show its problems.
        is_disconnected: whether the controller could not be reached.
    """

    outcome: LintOutcome | None
    source: PackedSource | None = None
    problem: str = ""
    data: bytes = b""
    is_disconnected: bool = False

    @property
    def definition(self) -> Mapping[str, Any] | None:
        """The pipeline, if a run of it can start."""
        if self.outcome is None or self.outcome.has_errors or self.problem:
            return None
        return self.outcome.definition

    @property
    def fingerprint(self) -> str:
        """Differs for runs that differ, and for nothing else: not for comments in the pipeline, for example."""
        contents = self.source.archive.contents_digest if self.source is not None else None
        return json.dumps([self.definition, contents], sort_keys=True)


def changed_names(names: frozenset[str], old: SourceArchive | None, new: SourceArchive | None) -> list[str]:
    """Those of the files that were touched that differ between two archives, sorted.

    Editors and tools write files that are gone a moment later, or the same again. The pipeline's own file is named
    whenever it was touched: archives don't say whether it has changed.
    """
    touched = sorted(names - {"."})
    if old is None or new is None:
        return touched
    own = new.pipeline_file
    return [name for name in touched if name == own or old.manifest.get(name) != new.manifest.get(name)]


@dataclass
class Preparation:
    """Prepares runs of one pipeline file.

    Args:
        tree: the folder to pack; None for runs without files.
        upload: sends the packed tree unless the controller has it. May raise ClientError.
    """

    file: Path
    tree: Path | None
    upload: Upload
    cache: MemberCache = field(default_factory=MemberCache)

    async def __call__(self, names: frozenset[str]) -> Prepared:
        """Prepare a run. It never raises, but for a cancellation."""
        try:
            data = read_bytes(self.file)
        except PipelineFileError as error:
            return Prepared(None, problem=str(error))
        outcome = lint_pipeline(data)
        if outcome.definition is None or outcome.has_errors:
            return Prepared(outcome, data=data)
        steps = outcome.definition["steps"]
        history = any(step.get("git") == "full" for step in steps)
        try:
            packing = pack_worktree(self.tree, self.file, history=history, leave_out=is_editors, cache=self.cache)
            async with packing as source:
                ready = await source
                if ready is not None:
                    await self.upload(ready)
            return Prepared(outcome, ready, data=data)
        except (WorktreeError, ClientError) as error:
            is_disconnected = isinstance(error, UnreachableError)
            return Prepared(outcome, problem=str(error), data=data, is_disconnected=is_disconnected)


class UploadedSource:
    """The API for the submission of a source that is uploaded already, and whose archive is gone."""

    def __init__(self, api: RunApi) -> None:
        self._api = api

    async def ensure_source(
        self,
        digest: str,
        archive: Path,
        progress: Callable[[int], None] = lambda _: None,
        *,
        delta: SourceDelta | None = None,
    ) -> bool:
        """Nothing is left to do."""
        return False

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Run:
        """Create the run."""
        return await self._api.create_run(request, idempotency_key=idempotency_key)
