"""The project of the tour: a copy of the sample `bookshop`, the correction of its mistake, and a change to watch."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PIPELINE = ".c8s.yaml"
PRICES = "bookshop/prices.py"
BOOKS = "data/books.csv"
_MISTAKE = "    return round(sum(prices) / len(prices), 2)\n"
_CORRECTION = "    return round(sum(prices) / len(prices), 2) if prices else 0\n"
_PORT = "18090"
"""The port of the service in the sample."""
_NEW_BOOKS = ("Persuasion,Jane Austen,7.50", "Silas Marner,George Eliot,9.20", "The Castle,Franz Kafka,10.00")
_GIT_TIMEOUT = 20.0
_NUMBER = re.compile(rb"\b\d{4,5}\b")


class ProjectError(Exception):
    """The project can't be made or changed; the message says why and what to do."""


@dataclass(frozen=True)
class ProjectState:
    """What the files of the project are like."""

    exists: bool = True
    digest: str = ""
    """Another one after every change."""
    has_mistake: bool = False
    """Whether the mistake is in it that the tour begins with."""
    as_told: bool = False
    """Whether all files are as the tour makes and corrects them."""


@dataclass(frozen=True)
class TourProject:
    """The project in `folder`, made from the sample in `sample`."""

    folder: Path
    sample: Path

    @property
    def name(self) -> str:
        """The name of its pipeline."""
        return self.sample.name

    @property
    def pipeline(self) -> Path:
        return self.folder / PIPELINE

    def create(self, port: int) -> None:
        """Copy the sample. The service of its pipeline gets this port, which is to be free.

        Raises:
            ProjectError: the folder has other files, or can't be written.
        """
        try:
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise ProjectError(f"{self.folder} is not empty; name a new folder")
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(self.sample, self.folder, ignore=ignored, dirs_exist_ok=True)
            text = self.pipeline.read_text(encoding="utf-8")
            self.pipeline.write_text(text.replace(_PORT, str(port)), encoding="utf-8")
        except OSError as error:
            raise ProjectError(f"the project can't be made in {self.folder}: {error.strerror or error}") from error

    def is_made(self) -> bool:
        """Whether the folder has a project that a tour has made before."""
        try:
            first = self.pipeline.read_text(encoding="utf-8").partition("\n")[0]
            return first == (self.sample / PIPELINE).read_text(encoding="utf-8").partition("\n")[0]
        except (OSError, UnicodeDecodeError):
            return False

    def commit(self) -> None:
        """Make it a repository with one commit, which ends what git takes for the working tree. Without git, nothing.

        The user's settings are not read: they may sign commits, or run programs.

        Raises:
            ProjectError: git fails.
        """
        if (self.folder / ".git").exists() or shutil.which("git") is None:
            return
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | quiet
        author = ("-c", "user.name=c8s", "-c", "user.email=c8s@example.invalid")
        commit = (*author, "commit", "-qm", "Open the bookshop")
        for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), commit):
            try:
                subprocess.run(
                    ["git", *arguments],
                    cwd=self.folder,
                    env=environment,
                    check=True,
                    capture_output=True,
                    stdin=subprocess.DEVNULL,
                    timeout=_GIT_TIMEOUT,
                )
            except (OSError, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", b"") or str(error).encode()
                text = said.decode(errors="replace").strip()
                raise ProjectError(f"git can't make a repository in {self.folder}: {text}") from error

    def look(self, before: ProjectState | None = None) -> ProjectState:
        """What the files are like now. Unless their times or sizes have changed since `before`, they are not read."""
        digest = self._stamp()
        if before is not None and before.digest == digest:
            return before
        expected, found = self._expected(), {name: self._read(name) for name in self._names()}
        as_told = all(_is_of_the_tour(name, data, expected[name]) for name, data in found.items())
        mistake = _MISTAKE.encode() in (found[PRICES] or b"")
        return ProjectState(self.pipeline.is_file(), digest, mistake, as_told and not mistake)

    def correct(self) -> None:
        """Correct the mistake, and restore the files of the tour that are no longer as the tour has made them.

        Raises:
            ProjectError: a file can't be written.
        """
        if not self.folder.is_dir():
            raise ProjectError(f"{self.folder} is gone")
        for name, original in self._expected().items():
            data = self._read(name)
            if data is None or not _is_of_the_tour(name, data, original):
                data = original
            self._write(name, data.replace(_MISTAKE.encode(), _CORRECTION.encode()))

    def _names(self) -> list[str]:
        """The files that the tour makes."""
        return sorted(_contents(self.sample))

    def _expected(self) -> Mapping[str, bytes]:
        """What the tour makes of the sample, with the mistake."""
        found = dict(_contents(self.sample))
        port = re.search(rb"port: (\d+)", self._read(PIPELINE) or b"")
        if port is not None:
            found[PIPELINE] = found[PIPELINE].replace(_PORT.encode(), port[1])
        return found

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        try:
            if self._read(name) != data:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
        except OSError as error:
            raise ProjectError(f"{name} can't be written: {error.strerror or error}") from error

    def _stamp(self) -> str:
        """Changes with the times and sizes of the files."""
        stamp = hashlib.sha256()
        for name in self._names():
            try:
                status = (self.folder / name).stat()
                stamp.update(f"{name} {status.st_mtime_ns} {status.st_size} {status.st_ino}\n".encode())
            except OSError:
                stamp.update(f"{name} is missing\n".encode())
        return stamp.hexdigest()

    def add_book(self) -> str:
        """Add a book to the list, and return its title.

        Raises:
            ProjectError: the list can't be written.
        """
        try:
            path = self.folder / BOOKS
            lines = path.read_text(encoding="utf-8").splitlines()
            book = _NEW_BOOKS[len(lines) % len(_NEW_BOOKS)]
            path.write_text("\n".join([*lines, book]) + "\n", encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"{BOOKS} can't be changed: {error}") from error
        return book.partition(",")[0]

    def own_changes(self) -> tuple[str, ...]:
        """The files that differ from what the tour makes of the sample: those that the user has changed or added."""
        expected = _contents(self.sample)
        found = _read_all(self.folder)
        return tuple(
            name for name, data in sorted(found.items()) if not _is_of_the_tour(name, data, expected.get(name))
        )


@lru_cache(maxsize=4)
def _contents(folder: Path) -> Mapping[str, bytes]:
    """The files of the sample."""
    return _read_all(folder)


def _read_all(folder: Path) -> Mapping[str, bytes]:
    names = ((path, str(path.relative_to(folder))) for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: path.read_bytes() for path, name in names if not (name.startswith(".git/") or "__pycache__" in name)}


def _is_of_the_tour(name: str, data: bytes | None, original: bytes | None) -> bool:
    if original is None or data is None:
        return False
    if name == PIPELINE:
        # Its port is another one.
        return _NUMBER.sub(b"", data) == _NUMBER.sub(b"", original)
    if name == BOOKS:
        added = data.removeprefix(original).decode("utf-8", "replace").splitlines()
        return data.startswith(original) and set(added) <= set(_NEW_BOOKS)
    corrected = original.replace(_MISTAKE.encode(), _CORRECTION.encode())
    return data in (original, corrected)
