"""Reads YAML files of other CI systems into plain values with line numbers, within limits of size and depth.

Plain `true` and `false` are booleans and empty values are None; all other scalars stay texts, so that a version `3.10`
and a key `on` keep their spelling. The values are built from the events of the parser, because the library's own loader
recurses without a limit. Aliases count as much as what they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
MAX_VALUES = 50_000
MAX_DEPTH = 60
MAX_DOCUMENTS = 100
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class ImportFileError(Exception):
    """The file can't be imported; the message says why, where, and what to do."""


class SourceMap(dict[str, Any]):
    """A map with the line of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}

    def line(self, key: str) -> int:
        """The line of a key; 0 if it is not written in the file."""
        return self.lines.get(key, 0)


class SourceList(list[Any]):
    """A list with the line of each entry."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class Reference(SourceList):
    """A list with GitLab's tag `!reference`: the path of a value to put here."""


@dataclass
class _Frame:
    """A collection that is being read."""

    value: SourceMap | SourceList
    anchor: str | None
    first: int
    """How many values had been read before it."""
    height: int = 1
    key: str | None = None
    key_line: int = 0
    merges: list[Any] = field(default_factory=list)


def read_documents(data: bytes) -> list[Any]:
    """All documents of a file.

    Raises:
        ImportFileError: it is not YAML in UTF-8, or exceeds a limit.
    """
    if len(data) > MAX_BYTES:
        raise ImportFileError("the file is larger than 1 MiB, the limit for an import")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImportFileError(f"the file is not UTF-8: byte {error.start} is not valid") from None
    builder = _Builder()
    try:
        for event in _events(text):
            builder.handle_event(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ImportFileError(f"{where}not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ImportFileError(f"not YAML: {error}".splitlines()[0]) from None
    return builder.documents


def _events(text: str) -> Iterator[Any]:
    return yaml.parse(text, Loader=_LOADER)


class _Builder:
    def __init__(self) -> None:
        self.documents: list[Any] = []
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._count = 0

    def handle_event(self, event: Any) -> None:
        """Add one event of the parser to the values."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()
            if len(self.documents) >= MAX_DOCUMENTS:
                raise ImportFileError(f"line {line}: more than {MAX_DOCUMENTS} documents in one file")
        elif isinstance(event, yaml.ScalarEvent):
            plain = not event.style and event.tag in (None, "!")
            value = _scalar(event.value) if plain else event.value
            if event.anchor:
                self._anchors[event.anchor] = (value, 1, 0)
            self._add(value, line, 1, 0, event.value)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                inside = any(frame.anchor == event.anchor for frame in self._open)
                problem = "is inside of what it names" if inside else "is not defined before"
                raise ImportFileError(f"line {line}: the alias *{event.anchor} {problem}")
            value, size, height = self._anchors[event.anchor]
            self._add(value, line, size, height, value if isinstance(value, str) else None)
        elif isinstance(event, yaml.MappingStartEvent):
            self._start(SourceMap(), event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._start(Reference() if event.tag == "!reference" else SourceList(), event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end(line)

    def _start(self, value: SourceMap | SourceList, event: Any, line: int) -> None:
        self._open.append(_Frame(value, event.anchor, self._count))
        if len(self._open) > MAX_DEPTH:
            raise ImportFileError(f"line {line}: nested more than {MAX_DEPTH} levels deep")
        self._grow(1, line)
        # The value belongs to the collection around it from now on, under the key that is open there.
        if len(self._open) > 1:
            self._place(self._open[-2], value, line, None)
        else:
            self.documents.append(value)

    def _end(self, line: int) -> None:
        frame = self._open.pop()
        for merged in frame.merges:
            self._merge(frame.value, merged, line)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, self._count - frame.first, frame.height)
        if self._open:
            self._open[-1].height = max(self._open[-1].height, frame.height + 1)

    def _add(self, value: Any, line: int, size: int, height: int, text: str | None) -> None:
        self._grow(size, line)
        if not self._open:
            self.documents.append(value)
            return
        if len(self._open) + height > MAX_DEPTH:
            raise ImportFileError(f"line {line}: nested more than {MAX_DEPTH} levels deep")
        self._open[-1].height = max(self._open[-1].height, height + 1)
        self._place(self._open[-1], value, line, text)

    def _place(self, frame: _Frame, value: Any, line: int, text: str | None) -> None:
        if isinstance(frame.value, SourceList):
            frame.value.append(value)
            frame.value.lines.append(line)
        elif frame.key is None:
            if text is None:
                raise ImportFileError(f"line {line}: a key that is a list or a map")
            frame.key, frame.key_line = text, line
        else:
            key, frame.key = frame.key, None
            if key == "<<":
                frame.merges.append(value)
            else:
                frame.value[key] = value
                frame.value.lines[key] = frame.key_line

    def _merge(self, target: Any, merged: Any, line: int) -> None:
        for source in merged if isinstance(merged, list) else [merged]:
            if not isinstance(source, SourceMap):
                raise ImportFileError(f"line {line}: `<<` takes a map, or a list of maps")
            self._grow(len(source), line)
            for key, value in source.items():
                if key not in target:
                    target[key] = value
                    target.lines[key] = source.line(key)

    def _grow(self, size: int, line: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            raise ImportFileError(f"line {line}: more than {MAX_VALUES:,} values, counting those of aliases")


def _scalar(text: str) -> Any:
    if text in _NULLS:
        return None
    return _BOOLEANS.get(text, text)
