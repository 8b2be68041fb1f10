"""Extracts an archive into the workspace; no entry can reach a file outside of it.

Directories are opened one name at a time and never through a link, and each file is created in the directory that was
opened. So neither other entries nor a concurrent process can redirect a write. The target of a link may go up at most
to the root and then down; a `..` after a name is refused, because the name could be a link to elsewhere.
"""

from __future__ import annotations

import os
import stat
import zlib

from ..errors import AgentError, printable
from .scratch_file import scratch_file
from .tar_stream import DIRECTORY, HARD_LINK, MAX_BYTES, MAX_ENTRIES, SYMLINK, Member, TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO, Protocol

    class Readable(Protocol):
        """A file that is only read: up to `size` bytes, b"" at its end."""

        def read(self, size: int, /) -> bytes: ...

    from ..client import AgentClient

_CHUNK_SIZE = 256 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Extractor:
    """Extracts one archive into one folder, up to a number of bytes and entries.

    Nothing is ever extracted through a link.

    Args:
        any_link: links may lead anywhere, as in a saved workspace.
        skip_links: links that lead out of the folder are left out, and listed in `skipped`.
        umask: permissions that folders do not get; those of files depend on the umask of the process.
        skip_git: `.git` and what is in it is left out.
        selects: says of the path of each file and link whether it is extracted; the others are counted in `left_out`.
        record: called with the path and a fingerprint of the content of each file and link.
    """

    def __init__(
        self,
        root: str,
        max_bytes: int = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        *,
        any_link: bool = False,
        skip_links: bool = False,
        umask: int = 0,
        skip_git: bool = False,
        selects: Callable[[str], bool] | None = None,
        record: Callable[[str, str], None] | None = None,
    ) -> None:
        self._record = record
        self._selects = selects
        self.left_out = 0
        self._any_link = any_link
        self._skip_links = skip_links
        self._umask = umask
        self._skip_git = skip_git
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._current: tuple[tuple[str, ...], int] = ((), self._root)
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self.files = 0
        self.bytes = 0
        self.skipped: list[str] = []
        self._skipped: set[tuple[str, ...]] = set()

    def check(self, archive: BinaryIO) -> None:
        """Read a tar.gz to its end without extracting. Raises AgentError if it is damaged or an entry is refused."""
        reader = TarReader(GzipReader(archive, self._max_bytes).read)
        size = 0
        for entries, member in enumerate(reader.members(), start=1):
            if entries > self._max_entries:
                raise AgentError(f"the archive has more than {self._max_entries} entries")
            parts = check_member(member)
            if member.type == SYMLINK and not (self._any_link or self._skip_links):
                check_link(parts, member.target)
            size += member.size
            if size > self._max_bytes:
                raise AgentError(f"the archive unpacks to more than {self._max_bytes} bytes")

    def unpack(self, archive: Readable) -> None:
        """Extract a tar.gz. Raises AgentError with the name of the first entry that is refused."""
        reader = TarReader(GzipReader(archive, self._max_bytes).read)
        for entries, member in enumerate(reader.members(), start=1):
            if entries > self._max_entries:
                raise AgentError(f"the archive has more than {self._max_entries} entries")
            try:
                self._extract(member, reader)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise AgentError(f"the archive's entry {printable(member.name)} can't be extracted: {reason}") from None

    def close(self) -> None:
        """Close the directories."""
        if self._current[1] != self._root:
            os.close(self._current[1])
        os.close(self._root)

    def _extract(self, member: Member, reader: TarReader) -> None:
        parts = check_member(member)
        if self._skip_git and ".git" in parts:
            return
        if self._selects is not None and not self._selects("/".join(parts)):
            self.left_out += member.type != DIRECTORY
            return
        if self._skipped and any(parts[:length] in self._skipped for length in range(1, len(parts))):
            raise AgentError(f"the archive's entry {printable(member.name)} is below a link; it is refused")
        if member.type == DIRECTORY:
            self._open_directory(parts, member.name)
            if parts:
                os.fchmod(self._current[1], (member.mode & ~self._umask) | 0o700)
            return
        if member.type == SYMLINK and not self._any_link and self._skips_link(parts, member):
            return
        folder = self._open_directory(parts[:-1], member.name)
        if member.type == SYMLINK:
            self._remove_existing(parts[-1], folder)
            os.symlink(member.target, parts[-1], dir_fd=folder)
            fingerprint = f"link to {member.target}"
        else:
            fingerprint = self._file(parts[-1], folder, member, reader)
        if self._record is not None:
            self._record("/".join(parts), fingerprint)
        self.files += 1

    def _skips_link(self, parts: tuple[str, ...], member: Member) -> bool:
        """Whether a link is left out. Raises AgentError if it leads out of the folder and is not left out."""
        try:
            check_link(parts, member.target)
        except AgentError:
            if not self._skip_links:
                raise
            self.skipped.append(member.name)
            self._skipped.add(parts)
            return True
        return False

    def _file(self, name: str, folder: int, member: Member, reader: TarReader) -> str:
        """Extract a file; the fingerprint of its content if it is recorded."""
        self.bytes += member.size
        if self.bytes > self._max_bytes:
            raise AgentError(f"the archive unpacks to more than {self._max_bytes} bytes")
        mode = member.mode | 0o600
        try:
            file = os.open(name, _NEW_FILE, mode, dir_fd=folder)
        except FileExistsError:
            self._remove_existing(name, folder)
            file = os.open(name, _NEW_FILE, mode, dir_fd=folder)
        checksum = 0
        try:
            for chunk in reader.content():
                if self._record is not None:
                    checksum = zlib.crc32(chunk, checksum)
                view = memoryview(chunk)
                while view:
                    view = view[os.write(file, view) :]
            os.utime(file, (member.mtime, member.mtime))
        finally:
            os.close(file)
        return f"{member.size} bytes, {checksum:08x}"

    def _remove_existing(self, name: str, folder: int) -> None:
        """Remove a file or link of this name; a directory raises OSError."""
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return

    def _open_directory(self, parts: tuple[str, ...], name: str) -> int:
        """Open a directory, creating missing ones. Raises AgentError where a part is not a directory."""
        current, folder = self._current
        if current == parts:
            return folder
        self._close_directory()
        folder = self._root
        for number, part in enumerate(parts):
            below = self._open(part, folder, name)
            if folder != self._root:
                os.close(folder)
            folder = below
            self._current = (parts[: number + 1], folder)
        return folder

    def _close_directory(self) -> None:
        (_, folder), self._current = self._current, ((), self._root)
        if folder != self._root:
            os.close(folder)

    def _open(self, part: str, folder: int, name: str) -> int:
        for _ in range(2):
            try:
                return os.open(part, _DIRECTORY, dir_fd=folder)
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=folder)
            except OSError:
                if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
                    what = "a link"
                else:
                    what = "not a directory"
                raise AgentError(
                    f"the archive's entry {printable(name)} is below {printable(part)}, which is {what}; it is refused"
                ) from None
        return os.open(part, _DIRECTORY, dir_fd=folder)


def check_member(member: Member) -> tuple[str, ...]:
    """The parts of the path of an entry. Raises AgentError if the path or the kind of the entry is refused."""
    parts = split_path(member.name)
    if member.type != DIRECTORY and not parts:
        raise AgentError(f"the archive's entry {printable(member.name)} has no name; it is refused")
    if member.type == HARD_LINK:
        raise AgentError(f"the archive's entry {printable(member.name)} is a hard link; it is refused")
    return parts


def split_path(name: str) -> tuple[str, ...]:
    """The parts of the path of an entry. Raises AgentError if it is absolute or has `..` in it."""
    if name.startswith("/"):
        raise AgentError(f"the archive's entry {printable(name)} has an absolute path; it is refused")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name:
        raise AgentError(f"the archive's entry {printable(name)} has '..' in its path; it is refused")
    return parts


def check_link(parts: tuple[str, ...], target: str) -> None:
    """Raise AgentError unless a link at this path leads inside the root, whatever else is in it."""
    described = f"the archive's entry {printable('/'.join(parts))} is a link to {printable(target)}"
    if not target or target.startswith("/") or "\0" in target:
        raise AgentError(f"{described}, an absolute path; it is refused")
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    if up > len(parts) - 1:
        raise AgentError(f"{described}, outside of the workspace; it is refused")
    if ".." in steps[up:]:
        raise AgentError(f"{described}, with '..' after a name; it is refused")


def download_and_extract(
    client: AgentClient,
    link: dict[str, Any],
    root: str,
    what: str,
    *,
    retry: bool = True,
    any_link: bool = False,
    skip_git: bool = False,
    selects: Callable[[str], bool] | None = None,
    record: Callable[[str, str], None] | None = None,
) -> tuple[int, int, int]:
    """Download an archive and extract it; the number of files, the archive's size in bytes, and the files left out.

    `what` names it in errors. `retry` and the others: see `AgentClient.download` and `Extractor`.
    """
    with scratch_file(root) as archive:
        size = client.download(link, archive, what, retry=retry)
        archive.seek(0)
        extractor = Extractor(root, any_link=any_link, skip_git=skip_git, selects=selects, record=record)
        try:
            extractor.unpack(archive)
        finally:
            extractor.close()
    return extractor.files, size, extractor.left_out


class GzipReader:
    """Reads the content of a gzip file; raises AgentError beyond a limit, so that a small file can't fill the disk."""

    def __init__(self, file: Readable, max_bytes: int) -> None:
        self._chunks = self._inflate(file)
        self._buffer = b""
        self._position = 0
        # Room for headers and padding, but not endless.
        self._remaining = max_bytes + max_bytes // 4 + 1024 * 1024

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        if self._position >= len(self._buffer):
            self._buffer, self._position = next(self._chunks, b""), 0
        chunk = self._buffer[self._position : self._position + size]
        self._position += len(chunk)
        return chunk

    def _inflate(self, file: Readable) -> Iterator[bytes]:
        engine = zlib.decompressobj(31)
        data, unfinished = b"", False
        # What follows a member is copied at its end, and an archive may have many: so not much is read at once.
        while data := data or file.read(_CHUNK_SIZE // 4):
            unfinished = True
            try:
                chunk = engine.decompress(data, 4 * _CHUNK_SIZE)
            except zlib.error:
                raise AgentError("the archive is damaged: it is not gzip") from None
            self._remaining -= len(chunk)
            if self._remaining < 0:
                raise AgentError("the archive unpacks to more than is allowed")
            if chunk:
                yield chunk
            data = engine.unconsumed_tail
            if engine.eof:
                # Another gzip member may follow, or zeros that pad the block of a tape.
                data, unfinished = engine.unused_data.lstrip(b"\0"), False
                engine = zlib.decompressobj(31)
        if unfinished:
            raise AgentError("the archive ends too early")
