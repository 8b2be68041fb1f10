"""Loads a pipeline file as data with positions; the schema decides the type of each scalar.

Where the schema expects a text, the value is the text in the file: `3.10` stays `3.10` and `on` stays `on`. Values that
do not fit stay as they are, for the schema to reject.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, Path, Position, SourceMap, diagnostic_at, quote
from controller.pipeline.normalize import EXTENSION_PREFIX
from controller.pipeline.reader.composer import (
    LINE_BREAKS,
    MAX_DEPTH,
    MAX_NODES,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    YamlReadError,
    compose,
    read_error,
)

Json = dict[str, Any]

MAX_BYTES = 1 << 20
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON")
_FALSE = ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF")
_SPLICED = "commands"
"""The field whose lists may contain lists, as aliases of lists do."""
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class ParsedPipeline:
    """The parsed file. `data` is None if the text can't be read at all."""

    data: Any
    source_map: SourceMap
    diagnostics: tuple[Diagnostic, ...]


def load_pipeline(text: str | bytes, schema: Json) -> ParsedPipeline:
    """Parse a pipeline file. Never raises: errors are diagnostics of the result.

    The text may also be a PipelineConfig object: its `spec` is the pipeline, its name the name of the pipeline.
    """
    builder = _Builder()
    try:
        root = compose(_decode(text))
        if root is None or (isinstance(root, ScalarNode) and not root.text):
            raise read_error((1, 1), "empty-file", "the file is empty", "a pipeline has version, name and steps")
        if isinstance(root, MappingNode) and _child_text(root, "kind") is not None:
            data = _from_object(builder, root, schema)
        else:
            data = builder.build(root, schema, (), 0)
    except YamlReadError as error:
        return ParsedPipeline(None, SourceMap({}, {}), (error.diagnostic,))
    return ParsedPipeline(data, SourceMap(builder.values, builder.keys), tuple(builder.diagnostics))


def _decode(text: str | bytes) -> str:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes; a pipeline may have {MAX_BYTES:,}"
        raise read_error((1, 1), "file-too-large", message, "is this the right file?")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        message = f"byte {error.start + 1} (0x{data[error.start]:02x}) is not UTF-8"
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = "the file is UTF-16: save it as UTF-8" if utf16 else "save the file as UTF-8"
        raise read_error(_end_position(before), "not-utf-8", message, hint) from None
    found = _NOT_YAML.search(decoded)
    if found:
        message = f"the character U+{ord(found.group()):04X} is not allowed in a YAML file"
        raise read_error(_end_position(decoded[: found.start()]), "control-character", message, "remove it")
    return decoded


def _end_position(before: str) -> Position:
    """The position after a text."""
    lines = LINE_BREAKS.split(before)
    return len(lines), len(lines[-1]) + 1


def _child_text(node: Node | None, key: str) -> str | None:
    found = _child(node, key)
    return found.text if isinstance(found, ScalarNode) else None


def _child(node: Node | None, key: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for name, value in node.nodes if isinstance(name, ScalarNode) and name.text == key), None)


def _from_object(builder: _Builder, root: MappingNode, schema: Json) -> Json:
    """The pipeline in a Kubernetes object."""
    kind, api = _child_text(root, "kind") or "", _child_text(root, "apiVersion") or ""
    if kind != "PipelineConfig" or not api.startswith("c8s.dev/"):
        message = f"this is a {quote(kind)} of {quote(api)}, not a pipeline"
        raise read_error(root.position, "not-a-pipeline", message, "a pipeline file has version, name and steps")
    metadata, spec = _child(root, "metadata"), _child(root, "spec")
    if not isinstance(spec, MappingNode):
        raise read_error(root.position, "not-a-pipeline", "this PipelineConfig has no spec", "the spec holds the steps")
    built = builder.build(spec, schema, (), 0)
    data: Json = {**built, "version": api.removeprefix("c8s.dev/")}
    name = _child(metadata, "name")
    if name is not None:
        data["name"] = builder.build(name, {"type": "string"}, ("name",), 1)
    return data


@dataclass
class _Builder:
    """Converts nodes to data along the schema, and records positions and diagnostics."""

    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    nodes: int = 0

    def build(self, node: Node, schema: Json, path: Path, depth: int) -> Any:
        """The data of a node; records positions and diagnostics."""
        self._count(node.position)
        if depth > MAX_DEPTH:
            raise read_error(node.position, "too-deep", f"nested more than {MAX_DEPTH} levels deep")
        self.values.setdefault(path, node.position)
        if isinstance(node, MappingNode):
            return self._map(node, _choose(schema, "object"), path, depth)
        if isinstance(node, SequenceNode):
            items = _choose(schema, "array").get("items") or {}
            nodes = self._spliced(node, depth) if path and path[-1] == _SPLICED else node.nodes
            return [self.build(item, items, (*path, n), depth + 1) for n, item in enumerate(nodes)]
        return _scalar(node, _choose(schema, "string"))

    def _spliced(self, node: SequenceNode, depth: int) -> Iterator[Node]:
        """The nodes of a list, with those of the lists in it in their place."""
        for item in node.nodes:
            if not isinstance(item, SequenceNode):
                yield item
                continue
            self._count(item.position)
            if depth >= MAX_DEPTH:
                raise read_error(item.position, "too-deep", f"nested more than {MAX_DEPTH} levels deep")
            yield from self._spliced(item, depth + 1)

    def _map(self, node: MappingNode, schema: Json, path: Path, depth: int) -> Json:
        result: Json = {}
        for key_node, value in node.nodes:
            if not isinstance(key_node, ScalarNode):
                self._report(key_node.position, path, "bad-key", "a key must be a plain word", "quote a { or [")
            elif _is_merge(key_node):
                continue
            elif (*path, key_node.text) in self.keys:
                here = (*path, key_node.text)
                line, column = self.keys[here]
                message = f"{quote(key_node.text)} is given twice; the first is on line {line}, column {column}"
                self._report(key_node.position, here, "duplicate-key", message, "keep one of them")
            else:
                self._add_entry(result, key_node, value, schema, path, depth)
        # Own keys take precedence over merged ones, and earlier merges over later ones.
        for key_node, value in self._merged_pairs(node, path, depth):
            if (*path, key_node.text) not in self.keys:
                self._add_entry(result, key_node, value, schema, path, depth)
        return result

    def _merged_pairs(self, node: MappingNode, path: Path, depth: int) -> Iterator[tuple[ScalarNode, Node]]:
        """The pairs that `<<` merges, including nested merges."""
        if depth > MAX_DEPTH:
            raise read_error(node.position, "too-deep", f"nested more than {MAX_DEPTH} levels deep")
        for key, value in node.nodes:
            if not _is_merge(key):
                continue
            for part in value.nodes if isinstance(value, SequenceNode) else [value]:
                self._count(node.position)
                if not isinstance(part, MappingNode):
                    message, hint = "`<<` takes a map, or a list of maps", "name one: <<: *name"
                    self._report(part.position, path, "bad-merge", message, hint)
                    continue
                for inner, inner_value in part.nodes:
                    self._count(inner.position)
                    if isinstance(inner, ScalarNode) and not _is_merge(inner):
                        yield inner, inner_value
                yield from self._merged_pairs(part, path, depth + 1)

    def _count(self, position: Position) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            message = f"more than {MAX_NODES:,} values once its aliases are written out"
            raise read_error(position, "too-many-values", message)

    def _add_entry(self, result: Json, key: ScalarNode, value: Node, schema: Json, path: Path, depth: int) -> None:
        here = (*path, key.text)
        self.keys[here] = key.position
        if key.text.startswith(EXTENSION_PREFIX) and "properties" in schema:
            return
        known = key.text in schema.get("properties", {})
        if known and isinstance(value, ScalarNode) and value.plain and value.text in _NULLS:
            if key.text in schema.get("required", ()):
                result[key.text] = None
            else:
                message = f"{quote(key.text)} is empty, as if it were not there"
                self._report(key.position, here, "empty-field", message, "fill it in or leave it out", "hint")
            self.values[here] = key.position
            return
        result[key.text] = self.build(value, _property(schema, key.text), here, depth + 1)

    def _report(
        self, position: Position, path: Path, code: str, message: str, hint: str, severity: Any = "error"
    ) -> None:
        self.diagnostics.append(diagnostic_at(position, code, message, hint, path=path, severity=severity))


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.plain and key.text == "<<"


def _choose(schema: Json, kind: str) -> Json:
    for option in schema.get("anyOf", ()):
        if option.get("type") == kind:
            return dict(option)
    return schema


def _property(schema: Json, key: str) -> Json:
    if key in schema.get("properties", {}):
        return dict(schema["properties"][key])
    for sub in schema.get("patternProperties", {}).values():
        # An invalid key is reported later; its value is read like those of the other keys.
        return dict(sub)
    return {}


def _scalar(node: ScalarNode, schema: Json) -> Any:
    text = node.text
    if not node.plain:
        return text
    if text in _NULLS:
        return None
    if schema.get("type") == "string":
        return text
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}", text):
        return float(text)
    return text
