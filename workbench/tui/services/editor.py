"""The pipeline editor without its widgets: the open file, its draft, its diagnostics, and where things are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from controller.pipeline.diagnostics import Diagnostic
from workbench.client.models import Step
from workbench.pipeline_file.completion import CompletionList, complete
from workbench.pipeline_file.document import Document, OpenedDocument, open_document
from workbench.pipeline_file.drafts import Drafts, drafts_folder
from workbench.pipeline_file.load import lint_pipeline
from workbench.pipeline_file.preview import preview_steps

Location = tuple[int, int]
"""Row and column, from 0."""


@dataclass(frozen=True)
class TextCheck:
    """Diagnostics of a text, and the steps it describes; None where it can't be read as a pipeline."""

    problems: tuple[Diagnostic, ...]
    steps: tuple[Step, ...] | None


class EditorController:
    """One open pipeline file. Unsaved text is saved as a draft, which outlives the app."""

    def __init__(self, path: Path, drafts: Drafts | None = None) -> None:
        self.path = path
        self.text: str | None = None
        """The text in the editor; None until the file is open."""
        self.problems: tuple[Diagnostic, ...] = ()
        self._drafts = drafts if drafts is not None else Drafts(drafts_folder())
        self._document = Document(path)

    @property
    def modified(self) -> bool:
        """Whether the text differs from what was last read or saved."""
        return self.text != self._document.text

    @property
    def exists(self) -> bool:
        """Whether the file has been read from disk or saved."""
        return self._document.text is not None

    @property
    def status(self) -> Literal["new file, not saved", "modified", "saved"]:
        if not self.exists:
            return "new file, not saved"
        return "modified" if self.modified else "saved"

    def open(self) -> OpenedDocument:
        """Read the file and its draft, if there is one. Raises DocumentError."""
        opened = open_document(self.path, self._drafts)
        self._document = opened.document
        self.text = opened.text
        return opened

    def save(self, text: str, *, overwrite: bool = False) -> None:
        """Write the text to the file and delete the draft.

        Raises:
            ChangedOnDiskError: another program has changed the file, and `overwrite` is False.
            DocumentError: the file can't be written.
        """
        self._document.save(text, overwrite=overwrite)
        self._drafts.delete(self.path)

    def reload(self) -> str | None:
        """Read the file again and delete the draft; the new text, or None without a file. Raises DocumentError."""
        self._document.reload()
        if self._document.text is not None:
            self.text = self._document.text
        self._drafts.delete(self.path)
        return self._document.text

    def changed_on_disk(self) -> bool:
        """Whether another program has changed the file. Raises DocumentError."""
        return self._document.changed_on_disk()

    def save_draft(self) -> None:
        """Save unsaved text as a draft; delete the draft of text that is saved. Raises DraftError, OSError."""
        if self.text is None:
            return
        if self.modified and self.text.strip():
            self._drafts.save(self.path, self.text, self._document.base)
        else:
            self._drafts.delete(self.path)

    def next_problem(self, cursor: Location, direction: int) -> Location | None:
        """The problem after the cursor (1) or before it (-1), wrapping around; None without problems."""
        locations = sorted({(problem.line - 1, problem.column - 1) for problem in self.problems})
        if not locations:
            return None
        beyond = [location for location in locations if (location > cursor if direction > 0 else location < cursor)]
        return (beyond or locations)[0 if direction > 0 else -1]


def check_text(text: str) -> TextCheck:
    """Lint a text and derive the steps for its graph; takes tens of milliseconds for a large file."""
    return TextCheck(lint_pipeline(text).problems, preview_steps(text))


def find_step(lines: Sequence[str], name: str) -> int | None:
    """The row that names a step; `name` may be that of one combination of a matrix."""
    name = name.split(" (", 1)[0]
    for row, line in enumerate(lines):
        if line.replace("'", "").replace('"', "").split()[-2:] == ["name:", name]:
            return row
    return None


def complete_pipeline(text: str, line: int, column: int) -> CompletionList:
    """The completions at a location of a pipeline."""
    return complete(text, line, column, _schema())


def can_be_edited(path: Path) -> bool:
    """Whether the file exists, or there is a draft of it."""
    return path.is_file() or (path.parent.is_dir() and Drafts(drafts_folder()).find(path) is not None)


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    from controller.pipeline.lint import schema

    return schema()
