"""Writes a log that is here to a file of its own, byte for byte, and never over one that is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from workbench.core.logfile import LogFile

_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_TRIES = 1_000


class SaveError(Exception):
    """The log can't be written there; the message says where and why."""


def save(log: LogFile, folder: Path, name: str) -> Path:
    """Write all lines that are there now into `folder` under this name, or one with a number; gives the path."""
    stem, dot, suffix = _ODD.sub("-", name).lstrip(".-").rpartition(".")
    count = len(log)
    for number in range(_TRIES):
        path = folder / f"{stem}{f'-{number + 1}' if number else ''}{dot}{suffix}"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            raise SaveError(f"can't write {path}: {error.strerror or error}. Choose another folder.") from error
        try:
            with os.fdopen(handle, "wb") as file:
                first = 0
                while first < count:
                    data, first = log.block(first)
                    file.write(data)
        except OSError as error:
            raise SaveError(f"can't write {path}: {error.strerror or error}. Free some space there.") from error
        return path
    raise SaveError(f"can't write {name} into {folder}: there are {_TRIES:,} files of that name already. Remove some.")
