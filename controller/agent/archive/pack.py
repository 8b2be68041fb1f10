"""Packs files of the workspace into a tar.gz and describes each of them for the manifest."""

# ruff: noqa: PTH115, PTH118, PTH123
# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations

import hashlib
import os
import stat
import zlib

from ..errors import AgentError, printable
from .tar_stream import BLOCK, FILE, SYMLINK, Member, encode_header
from .unpack import check_link, split_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

_CHUNK_SIZE = 256 * 1024
_MTIME = 946_684_800
"""2000-01-01: not the epoch, which zip files can't hold and builds trip over."""


class ArchiveTooLargeError(AgentError):
    """The archive does not fit; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit / 1024**2:g} MiB, packed")


class Packed:
    """An archive that was written: its size in bytes, its digest in hex, and its files for the manifest."""

    def __init__(self, size: int, sha256: str, files: list[dict[str, Any]]) -> None:
        self.size = size
        self.sha256 = sha256
        self.files = files

    def manifest(self) -> dict[str, Any]:
        """The manifest as the API takes it."""
        return {"files": self.files, "archive": {"size": self.size, "sha256": self.sha256}}


def pack(root: str, paths: list[str], into: BinaryIO, *, reproducible: bool = False) -> Packed:
    """Writes the archive of these paths (relative to the root), in their order.

    `of_source`: times and rights are those that git knows, so that equal trees give equal bytes.
    """
    files: list[dict[str, Any]] = []
    size, sha256 = compress(_archive(root, paths, files, reproducible), into)
    return Packed(size, sha256, files)


def compress(chunks: Iterable[bytes], into: BinaryIO, limit: int | None = None) -> tuple[int, str]:
    """Write the pieces as one gzip file; its size in bytes and its digest in hex.

    Raises:
        TooLargeError: it would have more than `limit` bytes.
    """
    # Level 1: the network and the other side's disk are rarely slower than compressing harder.
    engine = zlib.compressobj(1, zlib.DEFLATED, 31)
    digest, size = hashlib.sha256(), 0
    for piece in chunks:
        packed = engine.compress(piece)
        digest.update(packed)
        size += into.write(packed)
        if limit is not None and size > limit:
            raise ArchiveTooLargeError(limit)
    packed = engine.flush()
    digest.update(packed)
    size += into.write(packed)
    if limit is not None and size > limit:
        raise ArchiveTooLargeError(limit)
    into.flush()
    return size, digest.hexdigest()


def _archive(root: str, paths: list[str], files: list[dict[str, Any]], of_source: bool) -> Iterator[bytes]:
    for path in paths:
        try:
            yield from _entry(root, path, files, of_source)
        except OSError as problem:
            raise AgentError(f"the artifact {printable(path)} can't be read: {problem.strerror}") from None
    yield bytes(2 * BLOCK)


def _entry(root: str, path: str, files: list[dict[str, Any]], of_source: bool) -> Iterator[bytes]:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise AgentError(f"the artifact {printable(path)} has a name that is not UTF-8; rename it") from None
    whole = os.path.join(root, path)
    found = os.lstat(whole)
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(whole)
        check_link(split_path(path), target)
        digest = hashlib.sha256(os.fsencode(target)).hexdigest()
        files.append({"path": path, "size": 0, "sha256": digest, "mode": 0o777})
        yield encode_header(Member(path, SYMLINK, 0, 0o777, _MTIME if of_source else int(found.st_mtime), target))
        return
    with open(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise AgentError(f"the artifact {printable(path)} is not a file any more")
        mode = stat.S_IMODE(found.st_mode) & 0o777
        if of_source:
            mode = 0o755 if mode & 0o100 else 0o644
        yield encode_header(Member(path, FILE, found.st_size, mode, _MTIME if of_source else int(found.st_mtime), ""))
        digest_of_file = hashlib.sha256()
        left = found.st_size
        while left:
            piece = file.read(min(_CHUNK_SIZE, left))
            if not piece:
                raise AgentError(f"the artifact {printable(path)} became shorter while it was packed")
            left -= len(piece)
            digest_of_file.update(piece)
            yield piece
        yield bytes(-found.st_size % BLOCK)
    files.append({"path": path, "size": found.st_size, "sha256": digest_of_file.hexdigest(), "mode": mode})
