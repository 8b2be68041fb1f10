"""The files of a repository as detectors see them: names of all files, and the contents of small ones.

Contents come from strangers: they are read up to a limit, and a file that is not valid is a problem to report, not an
error.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

MAX_FILE_BYTES = 1024 * 1024
_SAFE_FOLDER = re.compile(r"[A-Za-z0-9_.@+-]+(/[A-Za-z0-9_.@+-]+)*")


class UnreadableFileError(Exception):
    """A file can't be read; the message says which and why."""


@dataclass(frozen=True)
class RepositoryFiles:
    """All files of a repository. `load` returns the bytes of one, at most `MAX_FILE_BYTES` and one more.

    `problems` collects what could not be read.
    """

    name: str
    names: frozenset[str]
    load: Callable[[str], bytes]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def from_names(cls, name: str, names: Iterable[str], load: Callable[[str], bytes]) -> RepositoryFiles:
        """The files of a repository called `name`. `load` may raise OSError."""
        return cls(name, frozenset(names), load)

    def folder(self, path: str) -> Folder:
        return Folder(self, path)


@dataclass(frozen=True)
class Folder:
    """A folder of the repository; `path` is empty for its root. Names of files are relative to it."""

    files: RepositoryFiles
    path: str

    def has(self, *names: str) -> bool:
        """Whether it has any of these files."""
        return self.first(*names) is not None

    def first(self, *names: str) -> str | None:
        """The first of these files that it has."""
        return next((name for name in names if self._full(name) in self.files.names), None)

    def all_names(self) -> list[str]:
        """The files in it and in the folders below, sorted."""
        prefix = self._full("")
        return sorted(name[len(prefix) :] for name in self.files.names if name.startswith(prefix))

    def matching(self, pattern: str) -> list[str]:
        """The files whose last part matches a glob, outside of folders with foreign or generated files."""
        return [
            name
            for name in self.all_names()
            if PurePosixPath(name).match(pattern) and not is_foreign(str(PurePosixPath(name).parent))
        ]

    def text(self, name: str) -> str:
        """The content of a file; empty if there is none, or none that can be read, which becomes a problem."""
        full = self._full(name)
        if full not in self.files.names:
            return ""
        try:
            data = self.files.load(full)
        except OSError as error:
            return self._problem(full, error.strerror or str(error))
        if len(data) > MAX_FILE_BYTES:
            return self._problem(full, "it is larger than 1 MiB")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return self._problem(full, "it is not UTF-8")

    def toml(self, name: str) -> Table:
        """The content of a TOML file; empty if it is not valid, which becomes a problem."""
        try:
            return Table(tomllib.loads(self.text(name)))
        except (ValueError, RecursionError) as error:
            self._problem(self._full(name), f"it is not valid TOML ({_short(error)})")
            return Table({})

    def json(self, name: str) -> Table:
        """The content of a JSON file; empty if it is not a valid object, which becomes a problem."""
        text = self.text(name)
        if not text.strip():
            return Table({})
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._problem(self._full(name), f"it is not valid JSON ({_short(error)})")
            return Table({})
        return Table(value if isinstance(value, dict) else {})

    def _full(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name

    def _problem(self, name: str, why: str) -> str:
        problem = f"{name} is ignored: {why}"
        if problem not in self.files.problems:
            self.files.problems.append(problem)
        return ""


class Table:
    """Values of a parsed file by path; a value of an unexpected type counts as missing."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def get(self, *path: str) -> Any:
        value: Any = self._values
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def table(self, *path: str) -> dict[str, Any]:
        value = self.get(*path)
        return value if isinstance(value, dict) else {}

    def string(self, *path: str) -> str:
        value = self.get(*path)
        return value if isinstance(value, str) else ""

    def strings(self, *path: str) -> list[str]:
        value = self.get(*path)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


_FOREIGN = frozenset(
    (
        *("node_modules", "vendor", "third_party", "site-packages", "venv"),
        *("testdata", "fixtures", "__fixtures__", "examples", "example", "samples", "templates", "template"),
        *("dist", "build", "target", "__pycache__"),
    )
)


def is_foreign(path: str) -> bool:
    """Whether a folder has code of others, generated files, or projects that only serve as examples."""
    return any(part in _FOREIGN or (part.startswith(".") and part != ".") for part in path.split("/"))


def is_safe_folder(path: str) -> bool:
    """Whether a folder's name can stand in a pipeline file and in shell commands without quotes."""
    return not path or (_SAFE_FOLDER.fullmatch(path) is not None and not path.startswith("-"))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
