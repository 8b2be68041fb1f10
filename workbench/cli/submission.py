"""From a checked pipeline and a folder to a run at the controller: pack, upload what is missing, create."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.cli.output import message
from workbench.client import Client, Run
from workbench.core.packing import Packed, packed
from workbench.core.worktree import Commit, scan

_WORTH_A_WORD = 8 * 1024 * 1024
_SHOWN_WARNINGS = 10


@dataclass(frozen=True)
class Order:
    """What is to be run. `tree` is the folder to send, if any; `key` names this intent for the controller."""

    definition: Mapping[str, Any]
    tree: Path | None
    key: str
    branch: str | None = None
    event: str | None = None
    params: Mapping[str, str] | None = None
    priority: str | None = None


@dataclass(frozen=True)
class Source:
    """A packed tree and what is checked out in it."""

    packed: Packed
    commit: Commit | None


def new_key() -> str:
    """A random text that names one intent to run."""
    return secrets.token_urlsafe(24)


@asynccontextmanager
async def packing(tree: Path | None) -> AsyncIterator[asyncio.Task[Source | None]]:
    """Pack the tree in a thread meanwhile; the archive is gone afterwards. Leaving early stops it."""
    stop = threading.Event()
    with ExitStack() as stack:

        def pack() -> Source | None:
            if tree is None:
                return None
            worktree = scan(tree, Path.home())
            return Source(stack.enter_context(packed(worktree, stop.is_set)), worktree.commit)

        task = asyncio.ensure_future(asyncio.to_thread(pack))
        try:
            yield task
        finally:
            stop.set()
            # The thread can't be cancelled; it stops at the next file.
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()


async def submit(client: Client, order: Order, source: Source | None) -> Run:
    """Upload what the controller has not got, and create the run."""
    if source is not None:
        _warn(source.packed.warnings)
        if source.packed.size > _WORTH_A_WORD:
            message(f"sending {size_text(source.packed.size)}")
        await client.ensure_source(source.packed.digest, source.packed.path)
    commit = source.commit if source is not None else None
    return await client.create_run(
        order.definition,
        key=order.key,
        source=source.packed.digest if source is not None else None,
        branch=order.branch or (commit.branch if commit is not None else None),
        commit=commit.label if commit is not None else None,
        event=order.event,
        params=order.params,
        priority=order.priority,
    )


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings[:_SHOWN_WARNINGS]:
        message(f"warning: {warning}")
    if len(warnings) > _SHOWN_WARNINGS:
        message(f"warning: {len(warnings) - _SHOWN_WARNINGS} more files left out")


def describe(source: Source | None) -> str:
    """The tree in a few words: `87 files, 86 KiB, main at 1a2b3c4 with changes`."""
    if source is None:
        return "without files"
    files = source.packed.files
    text = f"{files} file{'s' if files != 1 else ''}, {size_text(source.packed.size)}"
    commit = source.commit
    if commit is None:
        return f"{text}, no git"
    place = commit.branch or "detached"
    at = f" at {commit.sha[:7]}" if commit.sha else ""
    return f"{text}, {place}{at}{' with changes' if commit.dirty else ''}"


def size_text(size: int) -> str:
    """`512 B`, `86 KiB`, `1.2 MiB`."""
    if size < 1024:
        return f"{size} B"
    if size < 1024**2:
        return f"{size / 1024:.0f} KiB"
    return f"{size / 1024**2:.1f} MiB" if size < 1024**3 else f"{size / 1024**3:.1f} GiB"
