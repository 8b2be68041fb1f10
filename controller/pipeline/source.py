"""YAML text to data with positions. Any text gets an answer: data, or problems; never an exception, never a hang.

Scalars are read as their schema wants them: where it wants a string, `3.10`
stays `3.10` and `on` stays `on`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from controller.pipeline.problems import Path, Places, Position, Problem, spoken_path

Json = dict[str, Any]

MAX_BYTES = 1 << 20
_MAX_NODES = 50_000
_MAX_DEPTH = 60
_HARMLESS_DEPTH = 2_000
_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolver = yaml.SafeLoader("")


@dataclass(frozen=True)
class Source:
    """What was read. `data` is None when the text can't be read as YAML at all."""

    data: Any
    places: Places
    problems: tuple[Problem, ...]


class _Refused(Exception):  # noqa: N818 - not an error of ours
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read(text: str | bytes, schema: Json) -> Source:
    """The document in a text."""
    try:
        node = _compose(_decoded(text))
        builder = _Builder()
        if node is None:
            raise _Refused(
                Problem(1, 1, "", "error", "empty-file", "the file is empty", "a pipeline has name and steps")
            )
        data = builder.build(node, schema, (), 0)
    except _Refused as refused:
        return Source(None, Places({}, {}), (refused.problem,))
    return Source(data, Places(builder.values, builder.keys), tuple(builder.problems))


def _decoded(text: str | bytes) -> str:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes; a pipeline may have {MAX_BYTES:,}"
        raise _Refused(Problem(1, 1, "", "error", "file-too-large", message, "is this the right file?"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"byte {error.start + 1} (0x{data[error.start]:02x}) is not UTF-8"
        raise _Refused(Problem(line, column, "", "error", "not-utf-8", message, "save the file as UTF-8")) from None


def _compose(text: str) -> Any:
    try:
        _refuse_depth(text)
        return yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _Refused(_syntax_problem(error, text)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the character U+{ord(text[error.position]) if error.position < len(text) else 0:04X} is not allowed"
        raise _Refused(Problem(line, column, "", "error", "yaml-syntax", message, "remove it")) from None
    except RecursionError:
        raise _Refused(_too_deep((1, 1))) from None
    except yaml.YAMLError as error:
        raise _Refused(Problem(1, 1, "", "error", "yaml-syntax", f"not YAML: {error}")) from None


def _refuse_depth(text: str) -> None:
    """Refuses what is nested too deep before it is composed.

    The composer written in C calls itself for every level, and where Python would raise, it ends the process. A level
    takes at least one of these characters, so most files need not be read twice.
    """
    if sum(text.count(opener) for opener in "[{-?:") < _HARMLESS_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                mark = event.start_mark
                raise _Refused(_too_deep((mark.line + 1, mark.column + 1) if mark else (1, 1)))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = (error.problem or str(error)).strip()
    lines = text.split("\n")
    shown = lines[line - 1] if line <= len(lines) else ""
    if "but found another document" in what:
        return Problem(line, 1, "", "error", "several-documents", "the file holds more than one document", "keep one")
    if "\t" in shown[: len(shown) - len(shown.lstrip())] or "'\\t'" in what:
        return Problem(line, column, "", "error", "yaml-tab", "a tab in the indentation", "indent with spaces")
    hint = ""
    if "mapping values are not allowed" in what:
        hint = "a value with `: ` in it needs quotes"
    elif "could not find expected ':'" in what:
        hint = "is a `:` missing, or an indentation wrong, on this line or the one before?"
    elif "found character" in what or "while scanning" in what:
        hint = "put the value in quotes"
    context = f" ({error.context.strip()})" if error.context else ""
    return Problem(line, column, "", "error", "yaml-syntax", f"not YAML: {what}{context}", hint)


def _too_deep(position: Position) -> Problem:
    return Problem(*position, "", "error", "too-deep", f"nested more than {_MAX_DEPTH} levels deep", "")


@dataclass
class _Builder:
    """Walks the nodes with the schema in hand."""

    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def build(self, node: Any, schema: Json, path: Path, depth: int) -> Any:
        self.nodes += 1
        position = _position(node)
        if self.nodes > _MAX_NODES:
            message = f"more than {_MAX_NODES:,} values once its aliases are written out"
            raise _Refused(Problem(*position, spoken_path(path), "error", "too-many-values", message, ""))
        if depth > _MAX_DEPTH:
            raise _Refused(_too_deep(position))
        self.values.setdefault(path, position)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, _choose(schema, "object"), path, depth)
        if isinstance(node, yaml.SequenceNode):
            items = _choose(schema, "array").get("items") or {}
            return [self.build(item, items, (*path, n), depth + 1) for n, item in enumerate(node.value)]
        return _scalar(node, schema)

    def _mapping(self, node: Any, schema: Json, path: Path, depth: int) -> Json:
        result: Json = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                message = "a key must be a plain word"
                self.problems.append(Problem(*_position(key_node), spoken_path(path), "error", "bad-key", message, ""))
                continue
            key = key_node.value
            here = (*path, key)
            if key == "<<":
                merged = self.build(value_node, schema, here, depth + 1)
                for part in merged if isinstance(merged, list) else [merged]:
                    result = {**part, **result} if isinstance(part, dict) else result
                continue
            if here in self.keys:
                line = self.keys[here][0]
                self.problems.append(
                    Problem(
                        *_position(key_node),
                        spoken_path(here),
                        "error",
                        "duplicate-key",
                        f"`{key}` is given twice; the first is on line {line}",
                        "keep one of them",
                    )
                )
            self.keys.setdefault(here, _position(key_node))
            result[key] = self.build(value_node, _property(schema, key), here, depth + 1)
        return result


def _position(node: Any) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _choose(schema: Json, kind: str) -> Json:
    for option in schema.get("anyOf", ()):
        if option.get("type") == kind:
            return dict(option)
    return schema


def _property(schema: Json, key: str) -> Json:
    if key in schema.get("properties", {}):
        return dict(schema["properties"][key])
    for pattern, sub in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return dict(sub)
    return {}


def _scalar(node: Any, schema: Json) -> Any:
    text: str = node.value
    if schema.get("type") == "string":
        plain = node.style is None
        return None if plain and text in _NULLS else text
    try:
        tag = node.tag
        if tag == "tag:yaml.org,2002:int":
            return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else text
        if tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:null"):
            return _resolver.construct_object(yaml.ScalarNode(tag, text), deep=True)
    except (ValueError, yaml.YAMLError):
        return text
    return text
