"""From a checked pipeline and a folder to a run at the controller: pack, upload what is missing, create."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.submit.archive import SourceArchive, pack_archive
from workbench.submit.worktree import Commit, scan

if TYPE_CHECKING:
    from workbench.client.models import Run


class RunApi(Protocol):
    """The calls of a controller that starting a run takes; `workbench.client.Client` has them."""

    async def ensure_source(self, digest: str, archive: Path, progress: Callable[[int], None] = ...) -> bool: ...

    async def create_run(
        self,
        pipeline: Mapping[str, Any],
        *,
        key: str,
        source: str | None = None,
        contents: str | None = None,
        git: Mapping[str, Any] | None = None,
        branch: str | None = None,
        commit: str | None = None,
        event: str | None = None,
        changed_files: Sequence[str] | None = None,
        params: Mapping[str, str] | None = None,
        priority: str | None = None,
        reuse_from: str | None = None,
    ) -> Run: ...


@dataclass(frozen=True)
class RunSubmission:
    """What is to be run. `tree` is the folder to send, if any; `key` names this intent for the controller."""

    definition: Mapping[str, Any]
    tree: Path | None
    idempotency_key: str
    git: Mapping[str, Any] | None = None
    """Instead of a folder: a repository to clone (`url`, `revision`, maybe `submodules`, `secretRef`)."""
    branch: str | None = None
    event: str | None = None
    changed_files: Sequence[str] | None = None
    """For conditions on paths; None when it is not known what changed."""
    params: Mapping[str, str] | None = None
    priority: str | None = None
    reuse_from: str | None = None
    """A run whose succeeded steps are not run again where they would be the same."""
    file: Path | None = None
    """Where the pipeline was read: an edit of it alone makes no other source."""


@dataclass(frozen=True)
class RerunSubmission:
    """A run that is to be run again. `key` names this intent for the controller."""

    run: str
    idempotency_key: str
    from_failed: bool = False
    keep_on_failure: bool = False


@dataclass(frozen=True)
class PackedSource:
    """A packed tree and what is checked out in it."""

    archive: SourceArchive
    commit: Commit | None


def new_idempotency_key() -> str:
    """A random text that names one intent to run."""
    return secrets.token_urlsafe(24)


@asynccontextmanager
async def pack_worktree(
    tree: Path | None, pipeline: Path | None = None
) -> AsyncIterator[asyncio.Task[PackedSource | None]]:
    """Pack the tree around the file `pipeline` in a thread meanwhile; leaving early stops that.

    The archive is gone afterwards.
    """
    stop = threading.Event()
    with ExitStack() as stack:

        def pack() -> PackedSource | None:
            if tree is None:
                return None
            worktree = scan(tree, Path.home())
            archive = pack_archive(worktree, stop.is_set, pipeline=_inside(pipeline, worktree.root))
            return PackedSource(stack.enter_context(archive), worktree.commit)

        task = asyncio.ensure_future(asyncio.to_thread(pack))
        try:
            yield task
        finally:
            stop.set()
            # The thread can't be cancelled; it stops at the next file.
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()


def _inside(file: Path | None, root: Path) -> str | None:
    """The file's name in the tree, if it lies there."""
    try:
        return str(file.resolve().relative_to(root.resolve())) if file is not None else None
    except ValueError:
        return None


async def submit(runner: RunApi, order: RunSubmission, source: PackedSource | None) -> Run:
    """Upload what the controller has not got, and create the run."""
    if source is not None:
        await runner.ensure_source(source.archive.digest, source.archive.path)
    commit = source.commit if source is not None else None
    return await runner.create_run(
        order.definition,
        key=order.idempotency_key,
        source=source.archive.digest if source is not None else None,
        contents=source.archive.contents_digest if source is not None else None,
        git=order.git,
        branch=order.branch or (commit.branch if commit is not None else None),
        commit=commit.label if commit is not None else None,
        event=order.event,
        changed_files=order.changed_files,
        params=order.params,
        priority=order.priority,
        reuse_from=order.reuse_from,
    )


def describe_source(source: PackedSource | None) -> str:
    """The tree in a few words: `87 files, 86 KiB, main at 1a2b3c4 with changes`."""
    if source is None:
        return "without files"
    files = source.archive.files
    text = f"{files} file{'s' if files != 1 else ''}, {format_size(source.archive.size)}"
    commit = source.commit
    if commit is None:
        return f"{text}, no git"
    place = commit.branch or "detached"
    at = f" at {commit.sha[:7]}" if commit.sha else ""
    return f"{text}, {place}{at}{' with changes' if commit.dirty else ''}"


def format_size(size: int) -> str:
    """`512 B`, `86 KiB`, `1.2 MiB`."""
    if size < 1024:
        return f"{size} B"
    if size < 1024**2:
        return f"{size / 1024:.0f} KiB"
    return f"{size / 1024**2:.1f} MiB" if size < 1024**3 else f"{size / 1024**3:.1f} GiB"
