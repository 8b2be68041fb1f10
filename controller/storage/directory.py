"""The object store of a sandbox: a directory of the user.

A key is a path below the root. An object is written to a temporary file in the same folder and renamed, so it is
complete or absent. Large objects are read and written in threads, small ones are not, because a thread takes longer.
Nothing is synced to the disk: a power failure may lose the last objects.
"""

import asyncio
import errno
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from controller.storage.base import UPLOADS, Download, ObjectInfo, UploadLink
from controller.storage.chunking import rechunk
from controller.storage.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
    UploadMismatchError,
)
from controller.storage.keys import check_key, check_prefix
from controller.storage.signed_urls import ObjectGrant

T = TypeVar("T")
A = TypeVarTuple("A")

SMALL_OBJECT = 128 * 1024
CHUNK_SIZE = 1024 * 1024
LIST_BATCH = 500
_TEMPORARY = ".incoming-"
_STALE_SECONDS = 24 * 3600.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class DirectoryStore:
    """Stores objects as files below `root` (0700, files 0600).

    `signing_key` and `public_url` are for signed URLs, in which agents may get another address, `agent_url`; `clock`
    returns seconds since 1970.
    """

    def __init__(
        self,
        root: Path,
        signing_key: bytes,
        public_url: str,
        clock: Callable[[], float] = time.time,
        *,
        agent_url: str = "",
    ) -> None:
        self._root = Path(root).absolute()
        self._signing_key = signing_key
        self._public_url = public_url
        self._agent_url = agent_url or public_url
        self._clock = clock
        with _TranslateErrors("open", str(self._root), self._root):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_stale_files()

    async def start(self) -> None:
        """See ObjectStore. A directory supports everything."""

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """See ObjectStore."""
        path = self._path(key)
        if isinstance(data, bytes):
            if len(data) <= SMALL_OBJECT:
                return self._write(key, path, data, if_absent)
            return await asyncio.to_thread(self._write, key, path, data, if_absent)
        return await self._write_stream(key, path, data, if_absent)

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """See ObjectStore."""
        path = self._path(key)
        with _TranslateErrors("read", key, self._root):
            size = path.stat().st_size
            if limit is not None and size > limit:
                raise ObjectTooLargeError(f"the object {key} has {size} bytes, more than the limit of {limit}")
            if size <= SMALL_OBJECT:
                return path.read_bytes()
            return await asyncio.to_thread(path.read_bytes)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore. An object that is replaced meanwhile is still read to its end."""
        path = self._path(key)
        with _TranslateErrors("read", key, self._root), path.open("rb", buffering=0) as file:
            position = max(start, 0)
            stop = os.fstat(file.fileno()).st_size if end is None else end
            while position < stop:
                size = min(CHUNK_SIZE, stop - position)
                if size <= SMALL_OBJECT:
                    chunk = os.pread(file.fileno(), size, position)
                else:
                    chunk = await _in_thread(os.pread, file.fileno(), size, position)
                if not chunk:
                    return
                position += len(chunk)
                yield chunk

    async def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        with _TranslateErrors("stat", key, self._root):
            try:
                found = self._path(key).stat()
            except (FileNotFoundError, NotADirectoryError):
                if not self._root.is_dir():
                    raise
                return None
        return _object_info(key, found) if stat.S_ISREG(found.st_mode) else None

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """See ObjectStore."""
        folder, _, begin = check_prefix(prefix).rpartition("/")
        found = self._walk(folder, begin)
        while batch := _next_batch(found, LIST_BATCH):
            for each in batch:
                yield each
            if len(batch) == LIST_BATCH:
                await asyncio.sleep(0)

    async def delete(self, key: str) -> None:
        """See ObjectStore. Empty folders are removed too."""
        path = self._path(key)
        with _TranslateErrors("delete", key, self._root):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                if not self._root.is_dir():
                    raise
                return
        self._remove_empty_folders(path)

    async def presign(
        self, key: str, expires: timedelta, *, external: bool = False, download: Download | None = None
    ) -> str:
        """See ObjectStore. All addresses are those of the API, which calls `verify`."""
        until = int(self._clock() + expires.total_seconds())
        content_type, filename = (download.content_type, download.filename) if download is not None else (None, None)
        url = self._public_url if external else self._agent_url
        return ObjectGrant("GET", key, until, content_type, filename).url(self._signing_key, url)

    async def presign_upload(self, key: str, size: int, sha256: str, expires: timedelta) -> UploadLink:
        """See ObjectStore. The API checks size and digest while it receives the bytes."""
        until = int(self._clock() + expires.total_seconds())
        grant = ObjectGrant("PUT", UPLOADS + key, until, size=size, sha256=sha256)
        return UploadLink(grant.url(self._signing_key, self._agent_url), {})

    async def commit_upload(self, key: str, size: int, sha256: str) -> None:
        """See ObjectStore. What is below `uploads/` was written by the API with the digest that the link is for."""
        path, uploaded = self._path(key), self._path(UPLOADS + key)
        with _TranslateErrors("commit", key, self._root):
            existing = await self.head(key)
            if existing is not None and existing.size == size:
                uploaded.unlink(missing_ok=True)
                return
            found = uploaded.stat()
            if found.st_size != size:
                raise UploadMismatchError(f"the upload for {key} has {found.st_size} bytes, not {size}")
            self._make_folders(path.parent)
            uploaded.replace(path)
            self._remove_empty_folders(uploaded)

    def verify(self, grant: ObjectGrant, signature: str) -> bool:
        """Whether a URL of this store permits this now."""
        return grant.is_granted(self._signing_key, signature, self._clock())

    async def close(self) -> None:
        """See ObjectStore. There is nothing to release."""

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(self, key: str, path: Path, data: bytes, if_absent: bool) -> ObjectInfo:
        with _TranslateErrors("write", key, self._root):
            temporary, file = self._open_temporary(path)
            try:
                try:
                    _write_all(file, data)
                    found = os.fstat(file)
                finally:
                    os.close(file)
                self._move(temporary, path, key, if_absent)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return _object_info(key, found)

    async def _write_stream(self, key: str, path: Path, data: AsyncIterator[bytes], if_absent: bool) -> ObjectInfo:
        with _TranslateErrors("write", key, self._root):
            temporary, file = self._open_temporary(path)
        try:
            try:
                # An error of the sender is not translated to one of the store.
                async for chunk in rechunk(data, CHUNK_SIZE):
                    with _TranslateErrors("write", key, self._root):
                        await _in_thread(_write_all, file, chunk)
                found = os.fstat(file)
            finally:
                os.close(file)
            with _TranslateErrors("write", key, self._root):
                self._move(temporary, path, key, if_absent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return _object_info(key, found)

    def _open_temporary(self, path: Path) -> tuple[Path, int]:
        """Create a temporary file in the folder of the object; again if a concurrent delete removes the folder."""
        temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        for _ in range(20):
            try:
                return temporary, os.open(temporary, flags, 0o600)
            except FileNotFoundError:
                self._make_folders(path.parent)
        return temporary, os.open(temporary, flags, 0o600)

    def _make_folders(self, folder: Path) -> None:
        """Create the folder and its parents, all with mode 0700 (`parents=True` applies the umask to the parents)."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)

    def _remove_empty_folders(self, path: Path) -> None:
        """Remove the folders of a path that are empty."""
        for folder in path.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def _move(self, temporary: Path, path: Path, key: str, if_absent: bool) -> None:
        if not if_absent:
            temporary.replace(path)
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise ObjectExistsError(f"there is an object {key} already") from None
        temporary.unlink()

    def _walk(self, folder: str, begin: str) -> Iterator[ObjectInfo]:
        """The objects below a folder whose next part starts with `begin`, sorted by key."""
        try:
            entries = list(os.scandir(self._root / folder))
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError) and self._root.is_dir():
                return
            raise _translate(error, "list", folder or "/", self._root) from error
        chosen = [each for each in entries if each.name.startswith(begin) and not each.name.startswith(".")]
        # Folders are sorted like their keys, with the slash after the name.
        for each in sorted(chosen, key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False)):
            key = f"{folder}/{each.name}" if folder else each.name
            if each.is_dir(follow_symlinks=False):
                yield from self._walk(key, "")
            elif each.is_file(follow_symlinks=False):
                try:
                    yield _object_info(key, each.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue

    def _remove_stale_files(self) -> None:
        """Remove temporary files of killed processes that are older than a day."""
        old = time.time() - _STALE_SECONDS
        for folder, _, names in os.walk(self._root):
            for name in names:
                if name.startswith(_TEMPORARY):
                    path = Path(folder, name)
                    if path.stat().st_mtime < old:
                        path.unlink(missing_ok=True)


class _TranslateErrors:
    """A context manager that translates an OSError to a StorageError."""

    def __init__(self, action: str, key: str, root: Path) -> None:
        self._action = action
        self._key = key
        self._root = root

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise _translate(error, self._action, self._key, self._root) from error


def _translate(error: OSError, action: str, key: str, root: Path) -> StorageError:
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError) and not root.is_dir():
        # For example a disk that is not mounted: whether the object exists is unknown.
        return StoreUnavailableError(
            f"could not {action} the object {key}: the directory {root} of the store does not exist"
        )
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(f"there is no object {key}")
    if error.errno in _DISK_FULL:
        return StoreFullError(f"could not {action} the object {key}: the disk is full ({reason}); free some space")
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        return StorageError(f"could not {action} the object {key}: it collides with another key")
    return StoreUnavailableError(f"could not {action} the object {key} in the store's directory: {reason}")


async def _in_thread(call: Callable[[*A], T], *arguments: *A) -> T:
    """Like asyncio.to_thread, but a cancellation waits for the thread.

    Otherwise it would continue with a closed file descriptor, which may already belong to another file.
    """
    task = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _object_info(key: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _next_batch(found: Iterator[ObjectInfo], size: int) -> list[ObjectInfo]:
    return [each for each, _ in zip(found, range(size), strict=False)]


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
