"""Packs files of the workspace into a tar.gz and lists them for the manifest."""

# ruff: noqa: PTH115, PTH118, PTH123
# Importing pathlib takes longer than the work of this module.

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
"""2000-01-01: zip files can't store the epoch, and some build tools reject it."""


class ArchiveTooLargeError(AgentError):
    """The archive is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit / 1024**2:g} MiB, packed")


class Packed:
    """A written archive: its size in bytes, its SHA-256 in hex, and its files as in the manifest."""

    def __init__(self, size: int, sha256: str, files: list[dict[str, Any]]) -> None:
        self.size = size
        self.sha256 = sha256
        self.files = files

    def manifest(self) -> dict[str, Any]:
        """The manifest in the form of the API."""
        return {"files": self.files, "archive": {"size": self.size, "sha256": self.sha256}}


def pack(root: str, paths: list[str], into: BinaryIO, *, reproducible: bool = False) -> Packed:
    """Write an archive of these paths (relative to the root), in their order.

    `reproducible`: times are fixed and modes reduced to what git stores, so that equal trees give equal bytes.
    """
    files: list[dict[str, Any]] = []
    size, sha256 = compress(_archive(root, paths, files, reproducible), into)
    return Packed(size, sha256, files)


def compress(chunks: Iterable[bytes], into: BinaryIO, limit: int | None = None) -> tuple[int, str]:
    """Write the chunks as one gzip file; its size in bytes and its SHA-256 in hex.

    Raises:
        ArchiveTooLargeError: the file has more than `limit` bytes.
    """
    # Level 1: stronger compression usually takes longer than it saves on the network and on disk.
    engine = zlib.compressobj(1, zlib.DEFLATED, 31)
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        packed = engine.compress(chunk)
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


def _archive(root: str, paths: list[str], files: list[dict[str, Any]], reproducible: bool) -> Iterator[bytes]:
    for path in paths:
        try:
            yield from _entry(root, path, files, reproducible)
        except OSError as error:
            raise AgentError(f"the artifact {printable(path)} can't be read: {error.strerror}") from None
    yield bytes(2 * BLOCK)


def _entry(root: str, path: str, files: list[dict[str, Any]], reproducible: bool) -> Iterator[bytes]:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise AgentError(f"the artifact {printable(path)} has a name that is not UTF-8; rename it") from None
    absolute = os.path.join(root, path)
    found = os.lstat(absolute)
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(absolute)
        check_link(split_path(path), target)
        digest = hashlib.sha256(os.fsencode(target)).hexdigest()
        files.append({"path": path, "size": 0, "sha256": digest, "mode": 0o777})
        yield encode_header(Member(path, SYMLINK, 0, 0o777, _MTIME if reproducible else int(found.st_mtime), target))
        return
    with open(os.open(absolute, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise AgentError(f"the artifact {printable(path)} is no longer a file")
        mode = stat.S_IMODE(found.st_mode) & 0o777
        if reproducible:
            mode = 0o755 if mode & 0o100 else 0o644
        yield encode_header(
            Member(path, FILE, found.st_size, mode, _MTIME if reproducible else int(found.st_mtime), "")
        )
        digest_of_file = hashlib.sha256()
        left = found.st_size
        while left:
            chunk = file.read(min(_CHUNK_SIZE, left))
            if not chunk:
                raise AgentError(f"the artifact {printable(path)} was truncated while it was packed")
            left -= len(chunk)
            digest_of_file.update(chunk)
            yield chunk
        yield bytes(-found.st_size % BLOCK)
    files.append({"path": path, "size": found.st_size, "sha256": digest_of_file.hexdigest(), "mode": mode})
