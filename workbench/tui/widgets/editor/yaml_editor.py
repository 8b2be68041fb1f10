"""A text editor for pipelines with syntax highlighting, underlined problems, and completion.

Highlighting uses tree-sitter if it can be loaded, else `highlighting`.
`workbench.pipeline_file.completion` computes the completions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, TextAreaTheme

from controller.pipeline.diagnostics import Diagnostic
from workbench.pipeline_file.completion import NO_COMPLETIONS, CompletionList
from workbench.tui.boundary import PaneBoundary
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.editor.highlighting import highlight

Complete = Callable[[str, int, int], CompletionList]

MAX_HIGHLIGHTED_LINES = 3000
"""Lines up to which tree-sitter is used; in longer texts each keystroke would take tens of milliseconds."""


class YamlEditor(PaneBoundary, TextArea):
    """`complete` is called with (text, line, column) after each change."""

    HELP_TITLE: ClassVar[str] = "Editor"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+space,ctrl+@", "complete", "Complete", id="editor.complete", tooltip="Show completions"),
        Binding("ctrl+z", "undo", "Undo", show=False, id="editor.undo", tooltip="Undo"),
        Binding("ctrl+y", "redo", "Redo", show=False, id="editor.redo", tooltip="Redo"),
        Binding("ctrl+slash,ctrl+underscore", "comment", "Comment", show=False, id="editor.comment",
                tooltip="Comment or uncomment the lines"),
        Binding("ctrl+home", "document_edge(-1)", "Start", show=False, id="editor.start", tooltip="Go to the start"),
        Binding("ctrl+end", "document_edge(1)", "End", show=False, id="editor.end", tooltip="Go to the end"),
        Binding("ctrl+shift+home", "document_edge(-1, True)", "Select to start", show=False, id="editor.select-start",
                tooltip="Select to the start"),
        Binding("ctrl+shift+end", "document_edge(1, True)", "Select to end", show=False, id="editor.select-end",
                tooltip="Select to the end"),
    ]  # fmt: skip

    @dataclass
    class CompletionsChanged(Message):
        """The completions at the cursor have changed; without items the popup closes."""

        editor: YamlEditor
        completions: CompletionList

    @dataclass
    class CompletionNavigated(Message):
        """The user moves in the open popup, or accepts the selected completion."""

        editor: YamlEditor
        step: int
        """-1 up, 1 down, 0 accept."""

    def __init__(self, complete: Complete, *, id: str | None = None) -> None:
        super().__init__(id=id, show_line_numbers=True, tab_behavior="indent", soft_wrap=False, max_checkpoints=500)
        self.indent_width = 2
        # Each blink draws the screen, which is most of what an idle editor costs.
        self.cursor_blink = False
        self._complete = complete
        self._problems: dict[int, list[Diagnostic]] = {}
        self._completions = NO_COMPLETIONS
        self._typing = False

    def on_mount(self) -> None:
        self._apply_theme()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._apply_theme())

    def open_text(self, text: str) -> None:
        """Replace the text and clear the undo history."""
        self.language = (
            "yaml" if text.count("\n") < MAX_HIGHLIGHTED_LINES and "yaml" in self.available_languages else None
        )
        self.load_text(text)
        self.close_completions()

    def replace_text(self, text: str) -> None:
        """Replace the text as one edit, which can be undone."""
        self.close_completions()
        self.history.checkpoint()
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.history.checkpoint()

    def _undo_batch(self, edits: Sequence[Edit]) -> None:
        with self._whole_rows():
            super()._undo_batch(edits)

    def _redo_batch(self, edits: Sequence[Edit]) -> None:
        with self._whole_rows():
            super()._redo_batch(edits)

    @contextmanager
    def _whole_rows(self) -> Iterator[None]:
        """Compute the rows of the whole text within the block.

        Textual computes them for one range around several edits, and gets the number of lines wrong if some add lines
        and others remove them. The text could then not be drawn any more.
        """
        document = self.wrapped_document
        setattr(document, "wrap_range", lambda *_: document.wrap(self.wrap_width, self.indent_width))  # noqa: B010
        try:
            yield
        finally:
            delattr(document, "wrap_range")

    def show_problems(self, problems: Sequence[Diagnostic]) -> None:
        """Underline these in the text."""
        self._problems = {}
        for problem in problems:
            self._problems.setdefault(problem.line - 1, []).append(problem)
        self.notify_style_update()
        self.refresh()

    def problem_at_cursor(self) -> Diagnostic | None:
        """The first problem of the cursor's line."""
        found = self._problems.get(self.cursor_location[0])
        return found[0] if found else None

    @property
    def completing(self) -> bool:
        return bool(self._completions.items)

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if not self.is_syntax_aware:
            highlight(line, palette(self.app))
        for problem in self._problems.get(line_index, ()):
            start = min(max(problem.column - 1, 0), max(len(line) - 1, 0))
            end = _end_of_word(line.plain, start)
            line.stylize(Style(underline=True) + _severity(palette(self.app), problem.severity), start, end)
        return line

    # -- completion

    def accept_completion(self, insert: str) -> None:
        """Insert a completion in place of the started word."""
        row, column = self.cursor_location
        start = self._completions.start
        self.close_completions()
        opens = insert.endswith("[")
        closed = f"{insert}]" if opens else insert
        self.replace(closed, (row, min(start, column)), (row, column), maintain_selection_offset=False)
        if opens:
            self.move_cursor_relative(columns=-1)
        if opens or insert.endswith(" "):
            self.action_complete()

    def action_complete(self) -> None:
        """Show the completions at the cursor, even without a started word."""
        self._set_completions(self._complete(self.text, *self.cursor_location))

    def close_completions(self) -> None:
        if self._completions.items:
            self._set_completions(NO_COMPLETIONS)

    def _set_completions(self, completions: CompletionList) -> None:
        self._completions = completions
        self.post_message(self.CompletionsChanged(self, completions))

    def on_text_area_changed(self) -> None:
        if self._typing:
            self._typing = False
            row, column = self.cursor_location
            found = self._complete(self.text, row, column)
            self._set_completions(found if column > found.start or self.completing else NO_COMPLETIONS)

    def on_text_area_selection_changed(self) -> None:
        column = self.cursor_location[1]
        if self.completing and (column < self._completions.start or not self.has_focus):
            self.close_completions()

    def on_blur(self) -> None:
        self.close_completions()

    def on_key(self, event: events.Key) -> None:
        """Handle keys of the completion popup, and keys that indent or outdent."""
        if self.completing and event.key in ("up", "down", "enter", "tab", "escape"):
            if event.key == "escape":
                self.close_completions()
            else:
                self.post_message(self.CompletionNavigated(self, {"up": -1, "down": 1}.get(event.key, 0)))
        elif event.key == "escape":
            # The screen handles Escape; TextArea would move the focus.
            event.prevent_default()
            return
        elif event.key == "enter":
            self._new_line()
        elif event.key == "shift+tab":
            self._outdent()
        elif event.character == "]" and self._is_before_bracket:
            # The one that a completion has inserted.
            self.move_cursor_relative(columns=1)
        else:
            self._typing = (event.is_printable and event.character not in (" ", None)) or event.key == "backspace"
            return
        event.stop()
        event.prevent_default()

    @property
    def _is_before_bracket(self) -> bool:
        row, column = self.cursor_location
        return self.selection.is_empty and self.document.get_line(row)[column : column + 1] == "]"

    def action_document_edge(self, direction: int, select: bool = False) -> None:
        """Go to the start (-1) or the end (1) of the text."""
        self.move_cursor((0, 0) if direction < 0 else self.document.end, select=select)

    # -- lines

    def _new_line(self) -> None:
        """Insert a line with the indentation that YAML needs."""
        start, end = sorted(self.selection)
        before = self.document.get_line(start[0])[: start[1]]
        indent = len(before) - len(before.lstrip(" "))
        body = before.strip()
        if body.startswith("- ") and ":" in body:
            indent += 2
        if body.endswith((":", "|", ">")):
            indent += 2
        if body.startswith("- ") and not body.endswith(":") and ":" not in body:
            self.replace("\n" + " " * indent + "- ", start, end, maintain_selection_offset=False)
        elif body == "-":
            # An empty item ends the list.
            self.replace("", (start[0], max(0, indent - 2)), end, maintain_selection_offset=False)
        else:
            self.replace("\n" + " " * indent, start, end, maintain_selection_offset=False)

    def _outdent(self) -> None:
        for row in self._selected_rows():
            line = self.document.get_line(row)
            spaces = min(len(line) - len(line.lstrip(" ")), self.indent_width)
            if spaces:
                self.delete((row, 0), (row, spaces))

    def action_comment(self) -> None:
        """Comment the selected lines, or uncomment them if all are comments."""
        rows = [row for row in self._selected_rows() if self.document.get_line(row).strip()]
        if not rows:
            return
        lines = [self.document.get_line(row) for row in rows]
        if all(line.lstrip().startswith("#") for line in lines):
            for row, line in zip(rows, lines, strict=True):
                at = line.index("#")
                self.delete((row, at), (row, at + (2 if line[at + 1 : at + 2] == " " else 1)))
        else:
            column = min(len(line) - len(line.lstrip(" ")) for line in lines)
            for row in rows:
                self.insert("# ", (row, column))

    def _selected_rows(self) -> range:
        (first, _), (last, column) = sorted(self.selection)
        return range(first, last + (1 if column or first == last else 0))

    def _apply_theme(self) -> None:
        """Colours from the app's theme."""
        theme = text_theme(palette(self.app))
        self.register_theme(theme)
        self.theme = theme.name
        self.notify_style_update()
        self.refresh()


def text_theme(colours: Palette) -> TextAreaTheme:
    """The syntax theme for the app's current theme."""
    return TextAreaTheme(
        name="c8s",
        gutter_style=colours.faint,
        cursor_line_style=Style(),
        cursor_line_gutter_style=colours.plain,
        syntax_styles={
            "yaml.field": colours.highlight,
            "string": colours.plain,
            "string.escape": colours.accent,
            "comment": colours.faint + Style(italic=True),
            "number": colours.accent,
            "boolean": colours.accent,
            "constant.builtin": colours.accent,
            "type": colours.warning,
            "punctuation.delimiter": colours.muted,
            "punctuation.bracket": colours.muted,
            "punctuation.special": colours.muted,
        },
    )


def _severity(colours: Palette, severity: str) -> Style:
    return {"error": colours.error, "warning": colours.warning}.get(severity, colours.running)


def _end_of_word(text: str, start: int) -> int:
    end = start
    while end < len(text) and text[end] not in " ,:]}#":
        end += 1
    return max(end, start + 1)
