"""Submits a run: packs the working tree, uploads it unless the controller has it, and creates the run."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from workbench.client.run_request import ArchiveSource, GitSource, RunRequest
from workbench.client.source_delta import SourceDelta
from workbench.submit.archive import SourceArchive, pack_archive
from workbench.submit.gzip_members import MemberCache
from workbench.submit.history import with_history
from workbench.submit.upload import SourceUploader
from workbench.submit.worktree import Commit, scan
from workbench.text.format import format_size, plural

if TYPE_CHECKING:
    from workbench.client.models import Run


class RunApi(Protocol):
    """The API calls that a submission needs; `workbench.client.Client` has them."""

    async def ensure_source(
        self,
        digest: str,
        archive: Path,
        progress: Callable[[int], None] = ...,
        *,
        delta: SourceDelta | None = None,
    ) -> bool: ...

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Run: ...


@dataclass(frozen=True)
class RunSubmission:
    """A run to submit. `submit` adds the uploaded source, the commit and the branch to `request`."""

    request: RunRequest
    idempotency_key: str
    tree: Path | None = None
    """The folder to upload, if any."""
    file: Path | None = None
    """The pipeline's file, if it has one: editing only this file does not change the contents of the source."""

    @property
    def has_history(self) -> bool:
        """Whether a step needs the `.git` of the repository."""
        steps = self.request.pipeline.get("steps") or ()
        return any(isinstance(step, Mapping) and step.get("git") == "full" for step in steps)


@dataclass(frozen=True)
class RerunSubmission:
    """A run to run again."""

    run: str
    idempotency_key: str
    from_failed: bool = False
    failed_tests: bool = False
    """Like `from_failed`, and steps that say how run only the tests that failed."""
    keep_on_failure: bool = False


@dataclass(frozen=True)
class PackedSource:
    """A packed working tree and its commit."""

    archive: SourceArchive
    commit: Commit | None


def new_idempotency_key() -> str:
    """A random key that identifies one submission."""
    return secrets.token_urlsafe(24)


@asynccontextmanager
async def pack_worktree(
    tree: Path | None,
    pipeline: Path | None = None,
    *,
    history: bool = False,
    leave_out: Callable[[str], bool] | None = None,
    cache: MemberCache | None = None,
) -> AsyncIterator[asyncio.Task[PackedSource | None]]:
    """Pack the tree of the file `pipeline` in a thread. Leaving the `with` stops the thread and deletes the archive.

    Args:
        history: the archive has a `.git` with the history of the commit.
        leave_out: says of the name of a file whether it is left out.
        cache: what earlier archives of the tree consist of, which is not packed again.
    """
    stop = threading.Event()
    with ExitStack() as stack:

        def pack() -> PackedSource | None:
            if tree is None:
                return None
            worktree = scan(tree, Path.home())
            if leave_out is not None:
                kept = tuple(entry for entry in worktree.entries if not leave_out(entry.name))
                worktree = replace(worktree, entries=kept)
            if history:
                worktree = stack.enter_context(with_history(worktree))
            archive = pack_archive(worktree, stop.is_set, pipeline=_inside(pipeline, worktree.root), cache=cache)
            return PackedSource(stack.enter_context(archive), worktree.commit)

        task = asyncio.ensure_future(asyncio.to_thread(pack))
        try:
            yield task
        finally:
            stop.set()
            # A thread cannot be cancelled; it stops before the next file.
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()


def _inside(file: Path | None, root: Path) -> str | None:
    """The file's name in the tree, or None if it is outside."""
    try:
        return str(file.resolve().relative_to(root.resolve())) if file is not None else None
    except ValueError:
        return None


async def submit(
    api: RunApi,
    submission: RunSubmission,
    source: PackedSource | None,
    on_create: Callable[[], None] = lambda: None,
    uploader: SourceUploader | None = None,
) -> Run:
    """Upload the source unless the controller has it, and create the run; `on_create` is called between the two.

    Args:
        uploader: knows what was uploaded before, so that only what is new is sent.
    """
    request = submission.request
    if source is not None:
        archive, commit = source.archive, source.commit
        await (uploader or SourceUploader()).upload(api, archive)
        request = replace(
            request,
            source=ArchiveSource(archive.digest, archive.contents_digest, archive.pipeline_file),
            branch=request.branch or (commit.branch if commit is not None else None),
            commit=commit.label if commit is not None else None,
        )
    on_create()
    return await api.create_run(request, idempotency_key=submission.idempotency_key)


def describe_source(source: PackedSource | GitSource | None) -> str:
    """A short description: `87 files, 86 KiB, main at 1a2b3c4 with changes`."""
    if source is None:
        return "without files"
    if isinstance(source, GitSource):
        return f"{source.url} at {source.revision}"
    text = f"{plural(source.archive.files, 'file')}, {format_size(source.archive.size)}"
    commit = source.commit
    if commit is None:
        return f"{text}, no git"
    revision = f" at {commit.sha[:7]}" if commit.sha else ""
    return f"{text}, {commit.branch or 'detached'}{revision}{' with changes' if commit.dirty else ''}"
