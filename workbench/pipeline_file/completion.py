"""Completions in a pipeline file: fields, values, steps and templates, while the text is being typed.

The path of the cursor comes from `indentation`, and the fields and values of the path
from the JSON schema. In flow style (`{a: b}`), only lists of values are completed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.pipeline_file.indentation import (
    KEY,
    LINE,
    Frame,
    PathPart,
    dash_columns,
    enter_item,
    in_comment,
    leave,
    open_frames,
    sibling_keys,
    walk_values,
)
from workbench.pipeline_file.schema_lookup import Json, describe_field, field_text, schema_at

_TEMPLATE = re.compile(r"\{\{\s*(?P<prefix>[\w.-]*)$")
_RUN_FACTS = {
    "run.branch": "The branch the run is for",
    "run.commit": "The commit; ends in -dirty with uncommitted changes",
    "run.name": "The run's name, such as my-app-12",
    "run.number": "The run's number within its pipeline",
}


@dataclass(frozen=True)
class CompletionItem:
    """One completion: `label` is shown, and `insert` replaces the typed prefix."""

    label: str
    insert: str
    description: str = ""


@dataclass(frozen=True)
class CompletionList:
    """The completions at a position, best first. They replace the columns from `start` to the cursor."""

    start: int
    items: tuple[CompletionItem, ...]


NO_COMPLETIONS = CompletionList(0, ())


def complete(text: str, line: int, column: int, schema: Json) -> CompletionList:
    """The completions at a position; `line` and `column` count from 0."""
    lines = text.split("\n")
    if not 0 <= line < len(lines):
        return NO_COMPLETIONS
    before = lines[line][:column]
    if (template := _TEMPLATE.search(before)) is not None:
        return _templates(lines, template.group("prefix"), column)
    if in_comment(before):
        return NO_COMPLETIONS
    found = LINE.match(before)
    assert found is not None
    stack = open_frames(lines[:line], len(found.group("indent")))
    if stack is None:
        return NO_COMPLETIONS
    return _at(lines, line, before, stack, schema)


def _at(lines: Sequence[str], line: int, before: str, stack: list[Frame], schema: Json) -> CompletionList:
    found = LINE.match(before)
    assert found is not None
    rest, start = found.group("rest"), found.start("rest")
    for dash in dash_columns(found):
        enter_item(stack, dash, line)
    if not found.group("dashes") and rest.strip() == "-":
        return NO_COMPLETIONS
    if (key := KEY.match(rest)) is not None:
        leave(stack, start)
        return _values(lines, line, [*stack, Frame(start, key.group("key"), line)], key, start, schema)
    leave(stack, start)
    path = tuple(frame.part for frame in stack)
    holder = schema_at(schema, path)
    if holder is None:
        return NO_COMPLETIONS
    prefix = rest.lstrip("'\"")
    if "properties" in holder:
        present = sibling_keys(lines, line, start, stack)
        fields = _fields(holder, present, start)
        return CompletionList(len(before) - len(prefix), _matching(fields, prefix))
    if path and isinstance(path[-1], int):
        return CompletionList(len(before) - len(prefix), _matching(_scalars(lines, line, path, holder), prefix))
    return NO_COMPLETIONS


def _values(
    lines: Sequence[str], line: int, stack: Sequence[Frame], key: re.Match[str], start: int, schema: Json
) -> CompletionList:
    """The completions after `key:`."""
    path = tuple(frame.part for frame in stack)
    value_schema = schema_at(schema, path)
    value = key.group("value")
    if value_schema is None or not key.group("space"):
        return NO_COMPLETIONS
    if value.lstrip().startswith("["):
        items = schema_at(schema, (*path, 0))
        if items is None or "]" in value:
            return NO_COMPLETIONS
        prefix = re.split(r"[\[,]\s*", value)[-1].lstrip("'\"")
        taken = {part.strip(" '\"") for part in value.lstrip(" [").split(",")[:-1]}
        candidates = [item for item in _scalars(lines, line, (*path, 0), items) if item.label not in taken]
    else:
        prefix = value.lstrip("'\"")
        candidates = _scalars(lines, line, path, value_schema)
    end = start + key.end("value")
    return CompletionList(end - len(prefix), _matching(candidates, prefix))


def _fields(holder: Json, present: frozenset[str], column: int) -> list[CompletionItem]:
    required = holder.get("required", ())
    names = sorted(holder["properties"], key=lambda name: name not in required)
    return [
        CompletionItem(
            name, field_text(name, holder["properties"][name], column), describe_field(holder["properties"][name])
        )
        for name in names
        if name not in present
    ]


def _scalars(lines: Sequence[str], line: int, path: Sequence[PathPart], schema: Json) -> list[CompletionItem]:
    """The known values of a scalar: enumerations, booleans, the default, or steps to depend on."""
    if "dependsOn" in path:
        own = _own_step(lines, line)
        taken = _already_listed(lines, line)
        return [CompletionItem(name, name, "A step") for name in step_names(lines) if name != own and name not in taken]
    if "enum" in schema:
        return [CompletionItem(str(value), str(value)) for value in schema["enum"]]
    kind = schema.get("type")
    if kind == "boolean":
        return [CompletionItem("true", "true"), CompletionItem("false", "false")]
    default = schema.get("default")
    if isinstance(default, str) and default:
        return [CompletionItem(default, default, "The default")]
    return []


def step_names(lines: Sequence[str]) -> list[str]:
    """The names of the steps in a file that indentation reveals."""
    found = []
    for path, value in walk_values(lines):
        if len(path) == 3 and path[0] == "steps" and path[2] == "name" and value:
            found.append(value.strip(" '\""))
    return list(dict.fromkeys(found))


def _own_step(lines: Sequence[str], line: int) -> str | None:
    stack = open_frames(lines[:line], 0) or []
    number = stack[1].part if len(stack) > 1 and stack[0].part == "steps" else None
    for path, value in walk_values(lines):
        if path == ("steps", number, "name"):
            return value.strip(" '\"")
    return None


def _already_listed(lines: Sequence[str], line: int) -> set[str]:
    """The other items of the block list at the cursor."""
    taken: set[str] = set()
    for step in (-1, 1):
        at = line + step
        while 0 <= at < len(lines) and lines[at].lstrip().startswith("- ") and ":" not in lines[at]:
            taken.add(lines[at].strip()[2:].strip(" '\""))
            at += step
    return taken


def _templates(lines: Sequence[str], prefix: str, column: int) -> CompletionList:
    """The template variables: of the run, its parameters and the matrix."""
    names = dict(_RUN_FACTS)
    for path, value in walk_values(lines):
        if len(path) == 3 and path[0] == "params" and path[2] == "name" and value:
            names[f"params.{value.strip()}"] = "A parameter of the run"
        if len(path) >= 3 and path[-3:-1] == ("matrix", "dimensions"):
            names[f"matrix.{path[-1]}"] = "The value of this combination"
    items = [CompletionItem(name, f"{name}}}}}", about) for name, about in names.items()]
    return CompletionList(column - len(prefix), _matching(items, prefix))


def _matching(items: Sequence[CompletionItem], prefix: str) -> tuple[CompletionItem, ...]:
    """Items that start with the prefix, then those with its letters in this order; none if it is complete."""
    typed = prefix.lower()
    first = [item for item in items if item.label.lower().startswith(typed)]
    if len(first) == 1 and first[0].label == prefix:
        return ()
    rest = [item for item in items if item not in first and _has_in_order(item.label.lower(), typed)]
    return tuple(first + rest)


def _has_in_order(text: str, letters: str) -> bool:
    """Whether the text has all of the letters in this order, in linear time: a name in the file may be very long."""
    rest = iter(text)
    return all(letter in rest for letter in letters)
