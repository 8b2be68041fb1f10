"""Packs files of the workspace into a tar.gz and lists them for the manifest."""

# ruff: noqa: PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import hashlib
import os
import stat
import zlib

from ..errors import AgentError, printable
from .root_folder import RootFolder
from .tar_stream import BLOCK, DIRECTORY, FILE, MAX_BYTES, SYMLINK, Member, encode_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

_CHUNK_SIZE = 256 * 1024
_MAX_REPORTED = 5
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


def pack(
    root: str, paths: list[str], into: BinaryIO, *, reproducible: bool = False, max_bytes: int = MAX_BYTES
) -> Packed:
    """Write an archive of these paths (relative to the root), in their order; those of folders end in a slash.

    Links are kept as they are, wherever they lead; those with the absolute path of a file in the root become relative.
    `reproducible`: times are fixed and modes reduced to what git stores, so that equal trees give equal bytes.
    `max_bytes` is for all files together, unpacked; a file is measured before it is read.

    Raises:
        AgentError: a file can't be read, or the files have more than `max_bytes`.
    """
    files: list[dict[str, Any]] = []
    size, sha256 = compress(_archive(root, paths, files, reproducible, max_bytes), into)
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


def _archive(
    root: str, paths: list[str], files: list[dict[str, Any]], reproducible: bool, max_bytes: int
) -> Iterator[bytes]:
    with RootFolder(root) as folder:
        packer = _Packer(root, folder, files, reproducible, max_bytes)
        for path in paths:
            try:
                yield from packer.entry(path)
            except OSError as error:
                raise AgentError(f"the artifact {printable(path)} can't be read: {error.strerror}") from None
    yield bytes(2 * BLOCK)


class _Packer:
    """Writes the entries of an archive and lists its files for the manifest."""

    def __init__(
        self, root: str, folder: RootFolder, files: list[dict[str, Any]], reproducible: bool, max_bytes: int
    ) -> None:
        self._root = root
        self._folder = folder
        self._files = files
        self._reproducible = reproducible
        self._max_bytes = max_bytes
        self._bytes = 0
        self._renamed = 0

    def entry(self, path: str) -> Iterator[bytes]:
        """The header and the content of a file or link, or of a folder if the path ends in a slash."""
        found = self._folder.stat(path)
        if path.endswith("/"):
            yield self._header(path, DIRECTORY, found, 0o777 & found.st_mode)
        elif stat.S_ISLNK(found.st_mode):
            target = relative_target(self._root, path, self._folder.read_link(path))
            self._list(path, 0, hashlib.sha256(os.fsencode(target)).hexdigest(), 0o777)
            yield self._header(path, SYMLINK, found, 0o777, target)
        else:
            yield from self._file(path)

    def _file(self, path: str) -> Iterator[bytes]:
        with open(self._folder.open_file(path), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise AgentError(f"the artifact {printable(path)} is no longer a file")
            self._bytes += found.st_size
            if self._bytes > self._max_bytes:
                limit = f"{self._max_bytes / 1024**3:g} GiB"
                raise AgentError(f"up to {printable(path)}, the files have more than {limit} together, unpacked")
            mode = stat.S_IMODE(found.st_mode) & 0o777
            if self._reproducible:
                mode = 0o755 if mode & 0o100 else 0o644
            yield self._header(path, FILE, found, mode)
            digest = hashlib.sha256()
            left = found.st_size
            while left:
                chunk = file.read(min(_CHUNK_SIZE, left))
                if not chunk:
                    raise AgentError(f"the artifact {printable(path)} was truncated while it was packed")
                left -= len(chunk)
                digest.update(chunk)
                yield chunk
            yield bytes(-found.st_size % BLOCK)
        self._list(path, found.st_size, digest.hexdigest(), mode)

    def _header(self, path: str, kind: str, found: os.stat_result, mode: int, target: str = "") -> bytes:
        mtime = _MTIME if self._reproducible else int(found.st_mtime)
        return encode_header(Member(path, kind, found.st_size if kind == FILE else 0, mode, mtime, target))

    def _list(self, path: str, size: int, sha256: str, mode: int) -> None:
        listed = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if listed != path and self._renamed < _MAX_REPORTED:
            self._renamed += 1
            print(f"the name of {printable(path)} is not UTF-8: it is kept, and listed as {listed}", flush=True)
        self._files.append({"path": listed, "size": size, "sha256": sha256, "mode": mode})


def relative_target(root: str, path: str, target: str) -> str:
    """The target of a link: one into the root relative to the link, so that it holds wherever the root is extracted."""
    if target != root and not target.startswith(f"{root}/"):
        return target
    below = [part for part in target[len(root) :].split("/") if part]
    return "/".join([*[".."] * path.count("/"), *below]) or "."
