"""A pipeline file in the editor: reads and saves it, and detects changes on disk.

If both the text and the file have changed, the user interface asks the user what to do.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from controller.files import default_mode, write_atomic
from workbench.pipeline_file.drafts import Draft, Drafts, digest

MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of a file; four times that of a pipeline."""

TEMPLATE = """\
version: v1alpha1
name: {name}
steps:
  - name: hello
    image: busybox:1.36
    commands:
      - echo "hello from $C8S_STEP"
"""


class DocumentError(Exception):
    """The file cannot be read or written as text; the message says which, why, and what to do."""


class ChangedOnDiskError(DocumentError):
    """Another program changed the file since it was read; saving would overwrite that."""


@dataclass
class Document:
    """One file. `text` is its content when it was last read or saved; None for a new file."""

    path: Path
    text: str | None = None
    base: str = ""
    """The digest of the bytes that `text` came from."""
    newline: str = "\n"
    file_stamp: tuple[int, int] = field(default=(0, 0))
    """Size and modification time of the file when it was last checked."""

    @classmethod
    def open(cls, path: Path) -> Document:
        """Read the file. A missing file is created when it is saved.

        Raises:
            DocumentError: it is not text, is too large, or cannot be read.
        """
        document = cls(path)
        document.reload()
        return document

    def reload(self) -> None:
        """Read it again. Raises DocumentError."""
        self.file_stamp = _stamp(self.path)
        data = _read(self.path)
        self.base = digest(data)
        if data is None:
            self.text = None
            return
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DocumentError(f"{self.path} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from error
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.text = text.replace("\r\n", "\n")

    def changed_on_disk(self) -> bool:
        """Whether the content changed since it was read. Cheap if size and time are unchanged. Raises DocumentError."""
        stamp = _stamp(self.path)
        if stamp == self.file_stamp:
            return False
        self.file_stamp = stamp
        return digest(_read(self.path)) != self.base

    def save(self, text: str, *, overwrite: bool = False) -> None:
        """Write the text atomically; mode and line ends are preserved.

        Raises:
            ChangedOnDiskError: the file has changed, and `overwrite` is False.
            DocumentError: it cannot be written.
        """
        target = Path(os.path.realpath(self.path))
        now = _read(target)
        if digest(now) != self.base and not overwrite:
            raise ChangedOnDiskError(f"{self.path} was changed by another program since it was opened")
        data = (text.replace("\n", self.newline) if self.newline != "\n" else text).encode("utf-8")
        try:
            mode = target.stat().st_mode & 0o7777 if now is not None else default_mode()
            write_atomic(target, data, mode=mode, durable=True)
        except OSError as error:
            raise DocumentError(f"can't save {self.path}: {error.strerror}. The text is saved as a draft") from error
        self.text, self.base, self.file_stamp = text, digest(data), _stamp(target)


@dataclass(frozen=True)
class OpenedDocument:
    """An opened document: the text to show, and the draft that it comes from, if any."""

    document: Document
    text: str
    draft: Draft | None

    @property
    def stale(self) -> bool:
        """Whether the file has changed since the draft was started."""
        return self.draft is not None and self.draft.base != self.document.base


def open_document(path: Path, drafts: Drafts) -> OpenedDocument:
    """Open a file, with the text of its draft, if any. Raises DocumentError."""
    document = Document.open(path)
    text = document.text if document.text is not None else TEMPLATE.format(name=_name_for(path))
    draft = drafts.find(path)
    if draft is not None and draft.text == document.text:
        drafts.delete(path)
        draft = None
    return OpenedDocument(document, draft.text if draft is not None else text, draft)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DocumentError(f"can't read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{path} has more than {MAX_BYTES // 1024**2} MiB; is it the right file?")
    return data


def _stamp(path: Path) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    return 0, 0


def _name_for(path: Path) -> str:
    """A name for a pipeline, derived from its folder."""
    letters = "".join(
        char if char.isascii() and char.isalnum() else "-" for char in path.absolute().parent.name.lower()
    )
    return letters.strip("-")[:50].strip("-") or "my-pipeline"
