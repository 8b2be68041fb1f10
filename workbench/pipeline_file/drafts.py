"""Unsaved text of the editor, saved on disk so that a crash or a closed terminal does not lose it.

There is one small private JSON file for each edited file, in the user's data
folder. A draft records the digest of its file, so that later changes are detected.
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
    """A draft cannot be saved; the message says why."""


@dataclass(frozen=True)
class Draft:
    """A draft. `base` is the digest of the file's bytes when the draft was started; empty if there was no file."""

    path: str
    text: str
    base: str


def digest(data: bytes | None) -> str:
    """The value of `Draft.base` for these bytes; empty if there is no file."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def drafts_folder() -> Path:
    """`$XDG_DATA_HOME/c8s/drafts`, or the platform's equivalent."""
    return Path(platformdirs.user_data_dir("c8s")) / "drafts"


@dataclass(frozen=True)
class Drafts:
    """The drafts of one user."""

    folder: Path

    def find(self, path: Path) -> Draft | None:
        """The draft of a file, if there is a valid one."""
        try:
            raw = json.loads(self._file(path).read_text(encoding="utf-8"))
            return Draft(str(raw["path"]), str(raw["text"]), str(raw["base"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path, text: str, base: str) -> None:
        """Replace the draft of a file atomically.

        Raises:
            DraftError: it cannot be written.
        """
        target = self._file(path)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = json.dumps(asdict(Draft(str(path), text, base)))
            write_atomic(target, draft, mode=0o600, durable=True)
        except OSError as error:
            raise DraftError(f"can't save the draft in {self.folder}: {error.strerror}") from error

    def delete(self, path: Path) -> None:
        """Delete the draft after its text was saved or discarded."""
        self._file(path).unlink(missing_ok=True)

    def _file(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
        return self.folder / f"{name}.json"
