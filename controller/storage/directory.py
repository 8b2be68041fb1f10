"""The object store of a sandbox: a directory tree of this user's own.

A key is a path below the root. An object is written beside its place and moved there, so it is whole or
absent. Small objects are handled in place, because a file operation is quicker than a thread; large ones go
through threads. Nothing is synced to the disk: after a power cut the last objects may be missing.
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

from controller.storage import signed_urls
from controller.storage.base import Method, ObjectInfo
from controller.storage.chunking import rechunk
from controller.storage.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from controller.storage.keys import check_key, check_prefix

T = TypeVar("T")
A = TypeVarTuple("A")

SMALL_OBJECT = 128 * 1024
CHUNK_SIZE = 1024 * 1024
LIST_BATCH = 500
_TEMPORARY = ".incoming-"
_STALE_SECONDS = 24 * 3600.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class DirectoryStore:
    """Objects as files under `root` (0700; files 0600).

    `signing_key` and `public_url` are for signed links; `clock` gives seconds since 1970.
    """

    def __init__(self, root: Path, signing_key: bytes, public_url: str, clock: Callable[[], float] = time.time) -> None:
        self._root = Path(root).absolute()
        self._signing_key = signing_key
        self._public_url = public_url
        self._clock = clock
        with _TranslateErrors("open", str(self._root), self._root):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_stale_files()

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """See ObjectStore."""
        place = self._path(key)
        if isinstance(data, bytes):
            if len(data) <= SMALL_OBJECT:
                return self._write(key, place, data, if_absent)
            return await asyncio.to_thread(self._write, key, place, data, if_absent)
        return await self._write_stream(key, place, data, if_absent)

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        """See ObjectStore."""
        place = self._path(key)
        with _TranslateErrors("read", key, self._root):
            size = place.stat().st_size
            if limit is not None and size > limit:
                raise ObjectTooLargeError(f"the object {key} has {size} bytes; at most {limit} are taken here")
            if size <= SMALL_OBJECT:
                return place.read_bytes()
            return await asyncio.to_thread(place.read_bytes)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore. The object that was there at the start is read, also when it is replaced."""
        place = self._path(key)
        with _TranslateErrors("read", key, self._root), place.open("rb", buffering=0) as file:
            position = max(start, 0)
            stop = os.fstat(file.fileno()).st_size if end is None else end
            while position < stop:
                size = min(CHUNK_SIZE, stop - position)
                if size <= SMALL_OBJECT:
                    piece = os.pread(file.fileno(), size, position)
                else:
                    piece = await _in_thread(os.pread, file.fileno(), size, position)
                if not piece:
                    return
                position += len(piece)
                yield piece

    async def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        with _TranslateErrors("look at", key, self._root):
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
        """See ObjectStore. Folders that become empty go too."""
        place = self._path(key)
        with _TranslateErrors("delete", key, self._root):
            try:
                place.unlink()
            except (FileNotFoundError, NotADirectoryError):
                if not self._root.is_dir():
                    raise
                return
        for folder in place.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    async def presign(self, key: str, method: Method, expires: timedelta, *, external: bool = False) -> str:
        """See ObjectStore. One address for all: our API, which serves the link when `verify` says so."""
        until = int(self._clock() + expires.total_seconds())
        return signed_urls.signed_url(self._signing_key, self._public_url, method, key, until)

    def verify(self, key: str, *, method: str, expires: int, signature: str) -> bool:
        """Whether a link that `presign` made grants this method on this key now."""
        return signed_urls.verify_signature(
            self._signing_key, method=method, key=key, expires=expires, signature=signature, now=self._clock()
        )

    async def close(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(self, key: str, place: Path, data: bytes, if_absent: bool) -> ObjectInfo:
        with _TranslateErrors("write", key, self._root):
            temporary, file = self._open_temporary(place)
            try:
                try:
                    _write_all(file, data)
                    found = os.fstat(file)
                finally:
                    os.close(file)
                self._move(temporary, place, key, if_absent)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return _object_info(key, found)

    async def _write_stream(self, key: str, place: Path, data: AsyncIterator[bytes], if_absent: bool) -> ObjectInfo:
        with _TranslateErrors("write", key, self._root):
            temporary, file = self._open_temporary(place)
        try:
            try:
                # What goes wrong with the sender is the sender's error, not the store's.
                async for piece in rechunk(data, CHUNK_SIZE):
                    with _TranslateErrors("write", key, self._root):
                        await _in_thread(_write_all, file, piece)
                found = os.fstat(file)
            finally:
                os.close(file)
            with _TranslateErrors("write", key, self._root):
                self._move(temporary, place, key, if_absent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return _object_info(key, found)

    def _open_temporary(self, place: Path) -> tuple[Path, int]:
        """A new file next to where the object will be. A concurrent delete may take the folder away: again."""
        temporary = place.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        for _ in range(20):
            try:
                return temporary, os.open(temporary, flags, 0o600)
            except FileNotFoundError:
                self._make_folders(place.parent)
        return temporary, os.open(temporary, flags, 0o600)

    def _make_folders(self, folder: Path) -> None:
        """All folders down to this one, each 0700 (`parents=True` would leave the upper ones to the umask)."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)

    def _move(self, temporary: Path, place: Path, key: str, if_absent: bool) -> None:
        if not if_absent:
            temporary.replace(place)
            return
        try:
            os.link(temporary, place)
        except FileExistsError:
            raise ObjectExistsError(f"there is an object {key} already") from None
        temporary.unlink()

    def _walk(self, folder: str, begin: str) -> Iterator[ObjectInfo]:
        """Objects below a folder whose next part begins with `begin`, in the order of their keys."""
        try:
            entries = list(os.scandir(self._root / folder))
        except OSError as problem:
            if isinstance(problem, FileNotFoundError | NotADirectoryError) and self._root.is_dir():
                return
            raise _translate(problem, "list", folder or "/", self._root) from problem
        chosen = [each for each in entries if each.name.startswith(begin) and not each.name.startswith(".")]
        # A folder sorts as its keys do: with the slash that follows its name.
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
        """Removes what a killed process left half-written, once it is a day old."""
        old = time.time() - _STALE_SECONDS
        for folder, _, names in os.walk(self._root):
            for name in names:
                if name.startswith(_TEMPORARY):
                    path = Path(folder, name)
                    if path.stat().st_mtime < old:
                        path.unlink(missing_ok=True)


class _TranslateErrors:
    """Turns an OSError into an error that says what was tried on what, what went wrong and what to do."""

    def __init__(self, action: str, key: str, root: Path) -> None:
        self._action = action
        self._key = key
        self._root = root

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, OSError):
            raise _translate(problem, self._action, self._key, self._root) from problem


def _translate(problem: OSError, action: str, key: str, root: Path) -> StorageError:
    why = problem.strerror or str(problem)
    if isinstance(problem, FileNotFoundError | NotADirectoryError) and not root.is_dir():
        # As of a disk that is not mounted: that an object is not there can't be said of it.
        return StoreUnavailableError(f"could not {action} the object {key}: the store's directory {root} is not there")
    if isinstance(problem, FileNotFoundError):
        return ObjectNotFoundError(f"there is no object {key}")
    if problem.errno in _DISK_FULL:
        return StoreFullError(f"could not {action} the object {key}: the disk is full ({why}); free some space")
    if isinstance(problem, IsADirectoryError | NotADirectoryError):
        return StorageError(f"could not {action} the object {key}: it collides with another key")
    return StoreUnavailableError(f"could not {action} the object {key} in the store's directory: {why}")


async def _in_thread(call: Callable[[*A], T], *arguments: *A) -> T:
    """Like to_thread, but when it is cancelled the thread ends first: it must not go on with a file that is closed
    then, whose number may already be another file's.
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
