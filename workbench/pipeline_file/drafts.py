"""Unsaved text of the editor, kept on disk so that neither a crash nor a closed terminal loses it.

One small JSON file for each edited file, in the user's data folder and
readable by the user alone. A draft says what it was made from, so that a file
that has changed since is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from controller.files import write_atomic


class DraftError(Exception):
    """A draft can't be kept; the message says why."""


@dataclass(frozen=True)
class Draft:
    """`base` is the digest of the file's bytes when the draft was begun; empty when there was no file."""

    path: str
    text: str
    base: str


def digest(data: bytes | None) -> str:
    """What `Draft.base` holds for these bytes; empty for no file."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def drafts_folder() -> Path:
    """`$XDG_DATA_HOME/c8s/drafts`, or the platform's equivalent."""
    return Path(platformdirs.user_data_dir("c8s")) / "drafts"


@dataclass(frozen=True)
class Drafts:
    """The drafts of one user."""

    folder: Path

    def find(self, path: Path) -> Draft | None:
        """The draft for a file, if there is one that can be read."""
        try:
            raw = json.loads(self._file(path).read_text(encoding="utf-8"))
            return Draft(str(raw["path"]), str(raw["text"]), str(raw["base"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path, text: str, base: str) -> None:
        """Replace the draft for a file, whole or not at all.

        Raises:
            DraftError: it can't be written.
        """
        target = self._file(path)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = json.dumps(asdict(Draft(str(path), text, base)))
            write_atomic(target, draft, mode=0o600, durable=True)
        except OSError as error:
            raise DraftError(f"the unsaved text can't be kept in {self.folder}: {error.strerror}") from error

    def delete(self, path: Path) -> None:
        """The text is saved, or given up."""
        self._file(path).unlink(missing_ok=True)

    def _file(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
        return self.folder / f"{name}.json"
