"""Uploads archives of one tree: after the first, only what is new in each."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from controller.files import write_private
from workbench.client.source_delta import ArchivePiece, SourceDelta, find_delta
from workbench.submit.archive import SourceArchive

_MAX_BYTES = 16 * 1024 * 1024
_MAX_MEMORIES = 50
"""Trees that are remembered."""


class SourceApi(Protocol):
    """The API call of an upload."""

    async def ensure_source(
        self,
        digest: str,
        archive: Path,
        progress: Callable[[int], None] = ...,
        *,
        delta: SourceDelta | None = None,
    ) -> bool: ...


def upload_memory(folder: Path, tree: Path, controller: str) -> Path:
    """The file in a folder that remembers what was uploaded of a tree to a controller last.

    The oldest of many such files are deleted.
    """
    files = sorted(folder.glob("*.json"), key=_age)
    for old in files[:-_MAX_MEMORIES]:
        old.unlink(missing_ok=True)
    name = hashlib.sha256(os.fsencode(f"{controller}\0{tree.resolve()}")).hexdigest()[:32]
    return folder / f"{name}.json"


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0  # Another process has deleted it.


class SourceUploader:
    """Remembers what the archive that was uploaded last consists of.

    Args:
        memory: a file that remembers it for later processes; None: only this object does.
        listed: whether the controller is to list the files at once: a run follows, but not at once.
    """

    def __init__(self, memory: Path | None = None, *, listed: bool = False) -> None:
        self._memory = memory
        self._listed = listed
        self._base: tuple[str, dict[str, ArchivePiece]] | None = None
        if memory is not None:
            self._base = _read(memory)

    async def upload(self, api: SourceApi, archive: SourceArchive) -> None:
        """Upload an archive unless the controller has it. Raises ClientError."""
        delta = find_delta(*self._base, archive.pieces) if self._base is not None else None
        if delta is not None and self._listed:
            delta = replace(delta, listed=True)
        await api.ensure_source(archive.digest, archive.path, delta=delta)
        self._base = (archive.digest, {piece.sha256: piece for piece in archive.pieces})
        if self._memory is not None:
            _write(self._memory, archive)


def _read(memory: Path) -> tuple[str, dict[str, ArchivePiece]] | None:
    """What a file remembers; None if there is none that can be read."""
    try:
        with memory.open("rb") as file:
            found = json.loads(file.read(_MAX_BYTES))
        pieces = [ArchivePiece(str(sha256), int(offset), int(size)) for sha256, offset, size in found["pieces"]]
        return str(found["digest"]), {piece.sha256: piece for piece in pieces}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(memory: Path, archive: SourceArchive) -> None:
    """Remember an archive; without that, the next upload is a whole one."""
    pieces = [[piece.sha256, piece.offset, piece.size] for piece in archive.pieces]
    try:
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(memory, json.dumps({"digest": archive.digest, "pieces": pieces}).encode())
    except OSError:
        return
