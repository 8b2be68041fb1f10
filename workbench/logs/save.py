"""Saves a log to a new file; existing files are never overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.logs.log_file import LogFile

_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_TRIES = 1_000


class SaveError(Exception):
    """The log cannot be saved; the message says where and why."""


def create_unique_file(folder: Path, name: str) -> Path:
    """Create an empty private file with a safe form of this name, or with a number appended to it.

    Raises:
        SaveError: it cannot be created.
    """
    stem, dot, suffix = (_ODD.sub("-", name).lstrip(".-") or "file").rpartition(".")
    for number in range(_TRIES):
        tail = f"-{number + 1}" if number else ""
        path = folder / (f"{stem}{tail}.{suffix}" if dot else f"{suffix}{tail}")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise SaveError(f"can't write {path}: {error.strerror or error}. Choose another folder.") from error
        return path
    raise SaveError(f"can't create {name} in {folder}: it has {_TRIES:,} files of that name. Delete some.")


@contextmanager
def reserve_path(folder: Path, name: str) -> Iterator[Path]:
    """A unique file to write, which is deleted after an error. Raises SaveError."""
    path = create_unique_file(folder, name)
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def save_log(log: LogFile, folder: Path, name: str) -> Path:
    """Write the current lines to a file in `folder`; its path. Raises SaveError and LogFileError."""
    count, first = len(log), 0
    with reserve_path(folder, name) as path:
        try:
            with path.open("wb") as file:
                while first < count:
                    data, first = log.block(first)
                    file.write(data)
        except OSError as error:
            raise SaveError(f"can't write {path}: {error.strerror or error}. Free some space there.") from error
    return path
