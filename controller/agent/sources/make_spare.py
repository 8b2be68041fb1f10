"""Makes the spare copy of a source, with low priority, while no step waits for it."""

# ruff: noqa: PTH102, PTH103, PTH104, PTH112, PTH116, PTH118, PTH120, PTH123, PTH208
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time

from ..archive.scratch_file import scratch_file
from ..archive.unpack import Extractor
from ..errors import AgentError, UsageError
from ..permissions import grant_access, users_may_differ
from .shared_folder import MAKE, USE, give_way, is_set_aside, lock, names_of, remove_all, set_aside
from .spares import ENDING, INDEX, MAX_BYTES, TAKEN, Spare, spare_ending, take_patched
from .tree_index import MAX_ENTRIES, TreeIndex, index_archive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_KEPT = 2
"""Spare copies that there are at most: of the sources of two working trees."""
MAX_AGE = 24 * 3600.0
"""Seconds after which one is removed that nobody has used."""
_MIN_FREE_BYTES = 2 * 1024**3
"""Of the disk: below, there are no spare copies."""
_MAX_PART = 4
"""A spare copy takes at most this fraction of what is free."""
_MIN_ENTRIES = 64
"""Fewer are unpacked as quickly."""
_NICENESS = 10
"""A tenth of what others get. With the lowest priority, none would ever be ready while all processors are in use."""
_NEW = ".new"
_CHUNK_SIZE, _PIECE = 256 * 1024, 4096


def make_spare(folder: str, digest: str, source: BinaryIO) -> str:
    """Make the spare copy of an archive that is read from a stream, and remove what is too many or too old.

    Args:
        digest: the SHA-256 of the archive (hex).

    Returns:
        What was done, as a sentence for a log.

    Raises:
        AgentError: the archive is damaged or refused.
        OSError: the disk is full.
    """
    if not digest.isalnum():
        raise UsageError("the digest of the source is not hexadecimal")
    _lower_priority()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    try:
        with lock(folder, MAKE, alone=True, wait=False):
            try:
                return _make(folder, digest, source)
            finally:
                _clean(folder)
    except BlockingIOError:
        return "another one is being made"


def _lower_priority() -> None:
    """Let other processes go first, at the processor and at the disk, where that can be set."""
    os.nice(_NICENESS)
    if (program := shutil.which("ionice")) is not None:
        command = [program, "-c", "3", "-p", str(os.getpid())]
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)


def _make(folder: str, digest: str, source: BinaryIO) -> str:
    path = os.path.join(folder, digest + spare_ending())
    if os.path.isdir(path):
        os.utime(path)
        return "it is there already"
    free = shutil.disk_usage(folder).free
    if free < _MIN_FREE_BYTES:
        return "the disk has too little room for it"
    with scratch_file(folder) as archive:
        size = _receive(source, archive, digest)
        with lock(folder, USE, alone=False):
            found = take_patched(folder, names_of(folder, spare_ending()), archive, size)
            if found is not None:
                spare, patch = found
                _write_index(spare.folder, patch.index)
                os.rename(spare.folder, path)
                os.utime(path)
                return f"made of an earlier one, with {patch.cost} files changed"
        limit = min(MAX_BYTES, free // _MAX_PART)
        index, _ = index_archive(archive.fileno(), size, limit)
        if len(index.entries) < _MIN_ENTRIES:
            return "the source is so small that none is needed"
        archive.seek(0)
        # A killed process may have left one of any other name.
        spare = Spare(f"{path}-{os.urandom(4).hex()}{_NEW}")
        _unpack(spare, archive, limit)
        _write_index(spare.folder, index)
        os.rename(spare.folder, path)
    return f"unpacked, with {len(index.entries)} files"


def _receive(source: BinaryIO, archive: BinaryIO, digest: str) -> int:
    found, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK_SIZE):
        archive.write(chunk)
        found.update(chunk)
        size += len(chunk)
    archive.flush()
    if found.hexdigest() != digest:
        raise AgentError(f"the source is damaged: its SHA-256 is {found.hexdigest()}, not {digest}")
    return size


def _unpack(spare: Spare, archive: BinaryIO, limit: int) -> None:
    os.mkdir(spare.folder, 0o700)
    os.mkdir(spare.tree, 0o700)
    extractor = Extractor(spare.tree, limit, MAX_ENTRIES, skip_git=True)
    try:
        extractor.unpack(_Patient(archive, os.path.dirname(spare.folder)))
    finally:
        extractor.close()
    if users_may_differ():
        grant_access(spare.tree)


class _Patient:
    """Reads an archive in small pieces, each of them while no agent unpacks one for a step."""

    def __init__(self, archive: BinaryIO, folder: str) -> None:
        self._archive = archive
        self._folder = folder

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        give_way(self._folder)
        return self._archive.read(min(size, _PIECE))


def _write_index(spare: str, index: TreeIndex) -> None:
    with open(os.path.join(spare, INDEX), "wb") as file:
        file.write(index.dump())


def _clean(folder: str) -> None:
    """Remove spare copies that are too many, too old or of no use, and what killed agents have left.

    Nothing if an agent uses one just now: the next call does it.
    """
    try:
        with lock(folder, USE, alone=True, wait=False):
            removed = set_aside(folder, _superfluous(folder))
    except BlockingIOError:
        return
    remove_all(removed)


def _superfluous(folder: str) -> list[str]:
    spares = names_of(folder, spare_ending())
    kept = sorted(spares, key=lambda name: os.stat(os.path.join(folder, name)).st_mtime)[-_KEPT:]
    oldest = time.time() - MAX_AGE
    kept = [name for name in kept if os.stat(os.path.join(folder, name)).st_mtime > oldest]
    if shutil.disk_usage(folder).free < _MIN_FREE_BYTES:
        kept = []
    return [
        name
        for name in os.listdir(folder)
        if is_set_aside(name) or (name.endswith((ENDING, TAKEN, _NEW)) and name not in kept)
    ]
