"""Composes YAML text to a tree of nodes with positions, or reports one error, in bounded time for any text.

The tree is built from the events of the parser. The composer of the library recurses on the C stack without a limit, so
that a file with 200,000 brackets ends the process. Here depth, size and aliases are limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from controller.pipeline.diagnostics import Diagnostic, Position, diagnostic_at, quote

MAX_DEPTH = 60
MAX_NODES = 50_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
LINE_BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""Line breaks of the parser."""
_KNOWN_TAGS = {None, "!", *(_CORE + kind for kind in ("str", "int", "bool", "float", "null", "seq", "map"))}


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A scalar. `plain`: without quotes, so that its text may be a number, a boolean or null."""

    position: Position
    text: str
    plain: bool


@dataclass(slots=True)
class SequenceNode:
    """A sequence."""

    position: Position
    nodes: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MappingNode:
    """A mapping with its pairs as written: keys may be repeated."""

    position: Position
    nodes: list[tuple[Node, Node]] = field(default_factory=list)
    key: Node | None = None
    """The key whose value comes next, while the mapping is composed."""


Node = ScalarNode | SequenceNode | MappingNode


class YamlReadError(Exception):
    """The text can't be read as a pipeline; `diagnostic` has the reason and position."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def read_error(position: Position, code: str, message: str, hint: str = "") -> YamlReadError:
    """The error for a diagnostic that ends the reading."""
    return YamlReadError(diagnostic_at(position, code, message, hint))


def compose(text: str) -> Node | None:
    """The only document of a text, or None if it is empty.

    Raises:
        YamlReadError: it is not YAML, has several documents, or exceeds a limit.
    """
    composer = _Composer()
    try:
        for event in _events(text):
            composer.handle_event(event)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from None
    except yaml.YAMLError as error:
        raise read_error((1, 1), "yaml-syntax", f"not YAML: {error}") from None
    return composer.root


def _events(text: str) -> Iterator[Any]:
    return yaml.parse(text, Loader=_LOADER)


@dataclass
class _Composer:
    root: Node | None = None
    documents: int = 0
    nodes: int = 0
    open_nodes: list[tuple[SequenceNode | MappingNode, str | None]] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)

    def handle_event(self, event: Any) -> None:
        """Add one event of the parser to the tree."""
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                hint = "keep one; each pipeline has a file of its own"
                raise read_error(_position(event), "several-documents", "the file holds more than one document", hint)
        elif isinstance(event, yaml.ScalarEvent):
            self._add_scalar(ScalarNode(_position(event), event.value, not event.style and event.tag is None), event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._resolve_alias(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            self._start_collection(SequenceNode(_position(event)), event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._start_collection(MappingNode(_position(event)), event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            node, anchor = self.open_nodes.pop()
            if anchor is not None:
                self.anchors[anchor] = node

    def _start_collection(self, node: SequenceNode | MappingNode, event: Any) -> None:
        self._check_tag(event)
        self._add(node)
        self.open_nodes.append((node, event.anchor))
        if len(self.open_nodes) > MAX_DEPTH:
            raise read_error(node.position, "too-deep", f"nested more than {MAX_DEPTH} levels deep")

    def _add_scalar(self, node: ScalarNode, event: Any) -> None:
        self._check_tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._add(node)

    def _add(self, node: Node) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise read_error(node.position, "too-many-values", f"more than {MAX_NODES:,} values in one file")
        if not self.open_nodes:
            self.root = node
            return
        scope = self.open_nodes[-1][0]
        if isinstance(scope, SequenceNode):
            scope.nodes.append(node)
        elif scope.key is None:
            scope.key = node
        else:
            scope.nodes.append((scope.key, node))
            scope.key = None

    def _resolve_alias(self, event: Any) -> Node:
        if any(anchor == event.anchor for _, anchor in self.open_nodes):
            message = f"the alias {quote('*' + event.anchor)} is inside of the value that it names"
            raise read_error(_position(event), "alias-in-itself", message, "write that part out")
        if event.anchor not in self.anchors:
            message = f"nothing before this is named {quote('&' + event.anchor)}"
            hint = "name it first, or quote the text if it only begins with a *"
            raise read_error(_position(event), "unknown-alias", message, hint)
        return self.anchors[event.anchor]

    @staticmethod
    def _check_tag(event: Any) -> None:
        if event.tag not in _KNOWN_TAGS:
            shown = event.tag.replace(_CORE, "!!")
            hint = "leave it out, or quote the text if it only begins with a !"
            raise read_error(_position(event), "yaml-tag", f"the tag {quote(shown)} means nothing here", hint)


def _position(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> YamlReadError:
    mark = error.problem_mark or error.context_mark
    lines = LINE_BREAKS.split(text)
    position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if position[0] > len(lines):
        # The parser ends on the line after the last, which a text without a final line break does not have.
        position = len(lines), len(lines[-1]) + 1
    what = (error.problem or str(error)).strip()
    shown = lines[position[0] - 1]
    blank = shown[: len(shown) - len(shown.lstrip(" \t"))]
    if "\t" in blank or "tab character" in what:
        column = blank.find("\t") + 1 or position[1]
        return read_error((position[0], column), "yaml-tab", "a tab in the indentation", "indent with spaces")
    message, hint = _explain(what, error.context or "", shown.strip())
    since = ""
    if error.context_mark and error.context_mark.line + 1 != position[0]:
        since = f" (in what begins on line {error.context_mark.line + 1})"
    return read_error(position, "yaml-syntax", f"not YAML: {message}{since}", hint)


# Parts of messages of the parser, their meaning, and a hint.
_EXPLANATIONS: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a `:` where no key can be",
        "a text with `: ` in it needs quotes; else look at the indentation of this line",
    ),
    ("could not find expected ':'", "a key without its `:`", "is a `:` missing here, or is the indentation wrong?"),
    ("did not find expected key", "no key where one has to be", "look at the indentation, and at unclosed quotes"),
    (
        "did not find expected '-' indicator",
        "this does not belong to the list above it",
        "entries of a list begin with `- `, all in the same column",
    ),
    ("did not find expected ',' or ']'", "a list in [ ] is not closed here", "put a , between entries and a ] behind"),
    ("did not find expected ',' or '}'", "a map in { } is not closed here", "put a , between entries and a } behind"),
    (
        "did not find expected node content",
        "a value has to be here",
        "something in [ ] or { } is not finished, or has a comma too many",
    ),
    ("found unexpected end of stream", "the file ends inside a quoted text", "close the quotes"),
    ("found unexpected document indicator", "a new document begins inside a quoted text", "close the quotes"),
    (
        "found character that cannot start any token",
        "a text can't begin with this character",
        "put the text in quotes",
    ),
    ("found unknown escape character", "an unknown escape after \\ in double quotes", "use single quotes"),
    ("block sequence entries are not allowed", "a list can't begin here", "put it on a line of its own"),
    ("did not find expected <document start>", "something stands outside of the pipeline", "look at the indentation"),
)


def _explain(what: str, context: str, line: str) -> tuple[str, str]:
    for part, explanation, hint in _EXPLANATIONS:
        if part in what:
            return explanation, hint
    if "while scanning" in context or "found" in what:
        return f"{what} {context}".strip(), "put the text in quotes"
    return f"{what} {context}".strip(), "look at the indentation" if line else ""
