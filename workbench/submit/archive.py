"""Packs a working tree into a tar.gz. Equal trees give equal bytes, so that no tree is uploaded twice.

Owners and times are not included. All files have the same time, which is not the
epoch, because zip files cannot represent it and builds that create one would fail.
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from workbench.client.source_delta import ArchivePiece
from workbench.submit.gzip_members import MemberCache, MemberWriter
from workbench.submit.repository import WorktreeError
from workbench.submit.worktree import Entry, Worktree

MTIME = 946_684_800
"""2000-01-01 in UTC."""

_WHOLE = 4 * 1024 * 1024
"""Files up to this size are read before their header is written, so that they may grow meanwhile."""
_CHUNK = 1024 * 1024
_BLOCK = 512
_GROUP_FILES, _GROUP_BYTES = 16, 1024 * 1024
"""How many files a member of the file has on average, and how many bytes at most, unless it is one large file."""
_CLOCK_TICK = 50_000_000
"""Nanoseconds: more than the resolution of the times of files."""


@dataclass(frozen=True)
class SourceArchive:
    """A packed archive. `digest` (`sha256:…`) and `size` are of the file's bytes; `files` includes links.

    `contents_digest` is of the entries of the archive except the `pipeline_file`, the pipeline's
    own, so that editing only the pipeline does not change it; the controller computes it too.
    """

    path: Path
    digest: str
    size: int
    files: int
    contents_digest: str
    pipeline_file: str | None
    warnings: tuple[str, ...]
    manifest: Mapping[str, str] = field(default_factory=dict)
    """A checksum of each entry by its name, without the `pipeline_file`: to name what changed, not to prove it."""
    pieces: tuple[ArchivePiece, ...] = ()
    """The members that it consists of: most of them are those of the tree's last archive."""


class _FileChangedError(Exception):
    """A file has changed since the scan."""


@contextmanager
def pack_archive(
    tree: Worktree,
    stop: Callable[[], bool] = lambda: False,
    *,
    pipeline: str | None = None,
    cache: MemberCache | None = None,
) -> Iterator[SourceArchive]:
    """Pack into a temporary file, which is deleted after the `with`. Blocks; `stop` is called between files.

    Args:
        pipeline: the name in the tree of the pipeline's own file, which `contents_digest` ignores.
        cache: members of earlier archives of the tree, which are not read and compressed again.

    Raises:
        WorktreeError: the disk is full, or a large file changed while it was read.
        InterruptedError: `stop` returned True.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix="c8s-", suffix=".tar.gz")
    except OSError as error:
        raise WorktreeError(f"can't create a temporary file for the archive: {error}") from error
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            nameless = _delete_name(path, descriptor)
            archive = _pack(tree, path, file, stop, pipeline, cache or MemberCache())
            file.flush()
            yield replace(archive, path=nameless)
    finally:
        path.unlink(missing_ok=True)


def _delete_name(path: Path, descriptor: int) -> Path:
    """Delete an open file and return the path that still leads to it, so that nothing is left of it in any case.

    Where there is no such path, which is everywhere but on Linux, the file stays as it is.
    """
    nameless = Path(f"/proc/self/fd/{descriptor}")
    try:
        if not nameless.samefile(path):
            return path
    except OSError:
        return path
    path.unlink()
    return nameless


def _pack(
    tree: Worktree,
    path: Path,
    file: BinaryIO,
    stop: Callable[[], bool],
    pipeline: str | None,
    cache: MemberCache,
) -> SourceArchive:
    gzip = MemberWriter(file)
    count = 0
    warnings = list(tree.warnings)
    manifest: dict[str, str] = {}
    began = time.time_ns()
    try:
        for group in _groups(tree.entries):
            if stop():
                raise InterruptedError("packing was stopped")
            key = (pipeline, tuple((entry, entry.stamp) for entry in group))
            kept = cache.get(key)
            if kept is not None:
                gzip.write_again(kept)
                manifest.update(kept.manifest)
                count += kept.files
                continue
            found = _add_group(gzip, tree.root, group, pipeline, warnings)
            listed = tuple((name, checksum) for name, checksum in found if checksum)
            member = gzip.end(listed, len(found))
            if member is not None and len(found) == len(group) and _is_settled(group, began):
                cache.put(key, member)
            manifest.update(listed)
            count += len(found)
        gzip.counts = False
        gzip.write(bytes(2 * _BLOCK))
        gzip.end()
    except InterruptedError:
        raise
    except OSError as error:
        raise WorktreeError(f"can't pack {tree.root} into {path}: {error}") from error
    contents = f"sha256:{gzip.contents.hexdigest()}"
    return SourceArchive(
        path,
        f"sha256:{gzip.digest.hexdigest()}",
        gzip.size,
        count,
        contents,
        pipeline,
        tuple(warnings),
        manifest,
        tuple(gzip.pieces),
    )


def _groups(entries: Sequence[Entry]) -> Iterator[tuple[Entry, ...]]:
    """Consecutive entries that are one member of the file.

    Where a group ends depends on names, so that a new or deleted file changes one or two of them, and on sizes.
    """
    group: list[Entry] = []
    size = 0
    for entry in entries:
        if group and (entry.size > _WHOLE or size + entry.size > _GROUP_BYTES):
            yield tuple(group)
            group, size = [], 0
        group.append(entry)
        size += entry.size
        if entry.size > _WHOLE or zlib.crc32(os.fsencode(entry.name)) % _GROUP_FILES == 0:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _is_settled(group: Sequence[Entry], began: int) -> bool:
    """Whether a further change of any of these files would give it another stamp: clocks of file systems are coarse."""
    return all(entry.stamp and max(entry.stamp[:2]) < began - _CLOCK_TICK for entry in group)


def _add_group(
    gzip: MemberWriter, root: Path, group: Sequence[Entry], pipeline: str | None, warnings: list[str]
) -> list[tuple[str, str]]:
    """Write entries; the name and the checksum of each that was written, "" for one that does not count."""
    found = []
    for entry in group:
        gzip.counts = entry.name != pipeline or entry.target is not None
        gzip.checksum = 0
        try:
            if _add(gzip, root, entry):
                found.append((entry.name, f"{gzip.checksum:08x}" if gzip.counts else ""))
        except _FileChangedError as change:
            warnings.append(f"{entry.name}: skipped, {change}")
    return found


def _add(gzip: MemberWriter, root: Path, entry: Entry) -> int:
    """Write one entry; the number of entries written (0 if the file was deleted)."""
    if entry.target is not None:
        gzip.write(_header(entry, 0))
        return 1
    try:
        # Do not follow a link or wait for the writer of a pipe: the file may have been replaced since the scan.
        descriptor = os.open(
            entry.path or f"{root}/{entry.name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except FileNotFoundError:
        return 0  # Deleted since the scan.
    except OSError as error:
        raise _FileChangedError(error.strerror or str(error)) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _FileChangedError("it is not a file any more")
        if found.st_size > _WHOLE:
            _stream(gzip, entry, file, found.st_size)
            return 1
        data = file.read(_WHOLE + 1)
    if len(data) > _WHOLE:
        raise _grew(entry)
    gzip.write(_header(entry, len(data)) + data + _padding(len(data)))
    return 1


def _stream(gzip: MemberWriter, entry: Entry, file: BinaryIO, size: int) -> None:
    gzip.write(_header(entry, size), keep=False)
    left = size
    while left:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            raise _grew(entry)
        gzip.write(chunk, keep=False)
        left -= len(chunk)
    gzip.write(_padding(size), keep=False)


def _grew(entry: Entry) -> WorktreeError:
    return WorktreeError(
        f"{entry.name} changed while it was read. Try again when no process writes to it, "
        "or add it to .gitignore if the steps don't need it."
    )


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _header(entry: Entry, size: int) -> bytes:
    """A tar header in GNU format, whose names may have any bytes and length."""
    info = tarfile.TarInfo(entry.name)
    info.size = size
    info.mtime = MTIME
    info.mode = 0o755 if entry.executable else 0o644
    if entry.target is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
