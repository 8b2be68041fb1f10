"""What could be written at a place of a pipeline file: fields, values, steps. Works on text that is still being typed.

The path of the place is found from indentation alone, as no parser reads half
a file; what the path allows is in the schema. Flow style (`{a: b}`) is
completed for lists of values only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
PathPart = str | int

_LINE = re.compile(r"^(?P<indent> *)(?P<dashes>(?:- +)*)(?P<rest>.*)$", re.DOTALL)
_KEY = re.compile(r"^(?P<quote>['\"]?)(?P<key>[\w.$-]+)(?P=quote) *:(?P<space>\s+|$)(?P<value>.*)$", re.DOTALL)
_BLOCK = re.compile(r"(?:^|\s)[|>][-+0-9]*\s*(?:#.*)?$")
_TEMPLATE = re.compile(r"\{\{\s*(?P<begun>[\w.-]*)$")
_RUN_FACTS = {
    "run.branch": "The branch the run is for",
    "run.commit": "The commit; ends in -dirty with uncommitted changes",
    "run.name": "The run's name, such as my-app-12",
    "run.number": "The run's number within its pipeline",
}


@dataclass(frozen=True)
class CompletionItem:
    """One thing to write: `label` is shown, `insert` written in place of what is begun, `about` explains it."""

    label: str
    insert: str
    description: str = ""


@dataclass(frozen=True)
class CompletionList:
    """What fits at a place, best first. It replaces the columns from `start` to the cursor."""

    start: int
    items: tuple[CompletionItem, ...]


NO_COMPLETIONS = CompletionList(0, ())


@dataclass(frozen=True)
class _Frame:
    """Something around the cursor: a key at its column, or the item behind a dash at its column."""

    column: int
    part: PathPart
    line: int


def complete(text: str, line: int, column: int, schema: Json) -> CompletionList:
    """What could be written at a place; `line` and `column` count from 0."""
    lines = text.split("\n")
    if not 0 <= line < len(lines):
        return NO_COMPLETIONS
    before = lines[line][:column]
    if (template := _TEMPLATE.search(before)) is not None:
        return _templates(lines, template.group("begun"), column)
    if _in_comment(before):
        return NO_COMPLETIONS
    found = _LINE.match(before)
    assert found is not None
    stack = _around(lines[:line], len(found.group("indent")))
    if stack is None:
        return NO_COMPLETIONS
    return _at(lines, line, before, stack, schema)


def _at(lines: Sequence[str], line: int, before: str, stack: list[_Frame], schema: Json) -> CompletionList:
    found = _LINE.match(before)
    assert found is not None
    rest, start = found.group("rest"), found.start("rest")
    for dash in _dashes(found):
        _enter_item(stack, dash, line)
    if not found.group("dashes") and rest.strip() == "-":
        return NO_COMPLETIONS
    if (key := _KEY.match(rest)) is not None:
        _leave(stack, start)
        return _values(lines, line, [*stack, _Frame(start, key.group("key"), line)], key, start, schema)
    _leave(stack, start)
    path = tuple(frame.part for frame in stack)
    holder = _schema_at(schema, path)
    if holder is None:
        return NO_COMPLETIONS
    begun = rest.lstrip("'\"")
    if "properties" in holder:
        present = _siblings(lines, line, start, stack)
        fields = _fields(holder, present, start)
        return CompletionList(len(before) - len(begun), _matching(fields, begun))
    if path and isinstance(path[-1], int):
        return CompletionList(len(before) - len(begun), _matching(_scalars(lines, line, path, holder), begun))
    return NO_COMPLETIONS


def _values(
    lines: Sequence[str], line: int, stack: Sequence[_Frame], key: re.Match[str], start: int, schema: Json
) -> CompletionList:
    """What could stand behind `key:`."""
    path = tuple(frame.part for frame in stack)
    wanted = _schema_at(schema, path)
    value = key.group("value")
    if wanted is None or not key.group("space"):
        return NO_COMPLETIONS
    if value.lstrip().startswith("["):
        items = _schema_at(schema, (*path, 0))
        if items is None or "]" in value:
            return NO_COMPLETIONS
        begun = re.split(r"[\[,]\s*", value)[-1].lstrip("'\"")
        taken = {part.strip(" '\"") for part in value.lstrip(" [").split(",")[:-1]}
        fitting = [item for item in _scalars(lines, line, (*path, 0), items) if item.label not in taken]
    else:
        begun = value.lstrip("'\"")
        fitting = _scalars(lines, line, path, wanted)
    end = start + key.end("value")
    return CompletionList(end - len(begun), _matching(fitting, begun))


def _around(lines: Sequence[str], indent: int) -> list[_Frame] | None:
    """What is open after these lines; None when a line of that `indent` would be in a text block."""
    stack: list[_Frame] = []
    block: int | None = None
    """The column that a text block's owner begins at."""
    for number, text in enumerate(lines):
        if not text.strip():
            continue
        deep = len(text) - len(text.lstrip(" "))
        if block is not None:
            if deep > block:
                continue
            block = None
        if text.lstrip().startswith("#") or text.startswith(("---", "%")):
            continue
        found = _LINE.match(text)
        assert found is not None
        rest, start = found.group("rest"), found.start("rest")
        if rest.strip() == "-":
            _enter_item(stack, start, number)
            continue
        for dash in _dashes(found):
            _enter_item(stack, dash, number)
        key = _KEY.match(rest)
        if key is not None:
            _leave(stack, start)
            stack.append(_Frame(start, key.group("key"), number))
        if _BLOCK.search(key.group("value") if key is not None else rest):
            block = start if key is not None else deep
    return stack if block is None or indent <= block else None


def _dashes(found: re.Match[str]) -> Iterator[int]:
    start = found.start("dashes")
    return (start + at for at, char in enumerate(found.group("dashes")) if char == "-")


def _enter_item(stack: list[_Frame], column: int, line: int) -> None:
    """A dash: the next item of the list it stands in, whose key may be at the same column."""
    number = -1
    while stack and (stack[-1].column > column or (stack[-1].column == column and isinstance(stack[-1].part, int))):
        last = stack.pop()
        if last.column == column and isinstance(last.part, int):
            number = last.part
    stack.append(_Frame(column, number + 1, line))


def _leave(stack: list[_Frame], column: int) -> None:
    """A key or a value at this column is not inside what begins there or further right."""
    while stack and stack[-1].column >= column:
        stack.pop()


def _siblings(lines: Sequence[str], line: int, column: int, stack: Sequence[_Frame]) -> frozenset[str]:
    """The keys that the map around the cursor has already."""
    first = stack[-1].line if stack else 0
    present: set[str] = set()
    for number in range(first, len(lines)):
        text = lines[number]
        found = _LINE.match(text)
        if found is None or not text.strip() or number == line:
            continue
        start = found.start("rest")
        if number > first and start < column:
            if number > line:
                break
            continue
        if number > line and found.group("dashes") and found.start("dashes") < column:
            break
        key = _KEY.match(found.group("rest"))
        if key is not None and start == column:
            present.add(key.group("key"))
    return frozenset(present)


def _schema_at(schema: Json, path: Sequence[PathPart]) -> Json | None:
    """What the schema says of a place; None where it says nothing."""
    here: Json | None = schema
    for part in path:
        if here is None:
            return None
        options = [here, *here.get("anyOf", ())]
        here = next((inner for option in options if (inner := _inside(option, part)) is not None), None)
    if here is not None and "anyOf" in here:
        # Of several forms the first is the usual one.
        here = {**here["anyOf"][0], **{key: value for key, value in here.items() if key != "anyOf"}}
    return here


def _inside(schema: Json, part: PathPart) -> Json | None:
    if isinstance(part, int):
        items = schema.get("items")
        return items if isinstance(items, Mapping) else None
    properties = schema.get("properties", {})
    if part in properties:
        found: Json = properties[part]
        return found
    for pattern, inner in schema.get("patternProperties", {}).items():
        if re.search(pattern, part):
            kept: Json = inner
            return kept
    return None


def _fields(holder: Json, present: frozenset[str], column: int) -> list[CompletionItem]:
    required = holder.get("required", ())
    names = sorted(holder["properties"], key=lambda name: name not in required)
    return [
        CompletionItem(name, _opening(name, holder["properties"][name], column), _about(holder["properties"][name]))
        for name in names
        if name not in present
    ]


def _opening(name: str, schema: Json, column: int) -> str:
    """The field as one would begin to write it: a list or a map goes on in the next line."""
    usual = schema["anyOf"][0] if "anyOf" in schema else schema
    below = "\n" + " " * (column + 2)
    if usual.get("type") == "array":
        simple = "properties" not in usual.get("items", {})
        return f"{name}: [" if simple and name != "commands" else f"{name}:{below}- "
    if usual.get("type") == "object":
        return f"{name}:{below}"
    return f"{name}: "


def _about(schema: Json) -> str:
    text = str(schema.get("description", ""))
    if "enum" in schema:
        text += f" ({', '.join(str(value) for value in schema['enum'])})"
    default = schema.get("default")
    if default not in (None, [], {}, "", False):
        text += f" Default: {', '.join(default) if isinstance(default, list) else default}."
    return text.strip()


def _scalars(lines: Sequence[str], line: int, path: Sequence[PathPart], schema: Json) -> list[CompletionItem]:
    """The values that can be listed: of an enumeration, true and false, the steps to depend on."""
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
    """The names of the steps in a file, as far as it can be read by its indentation."""
    found = []
    for path, value in _walk(lines):
        if len(path) == 3 and path[0] == "steps" and path[2] == "name" and value:
            found.append(value.strip(" '\""))
    return list(dict.fromkeys(found))


def _own_step(lines: Sequence[str], line: int) -> str | None:
    stack = _around(lines[:line], 0) or []
    number = stack[1].part if len(stack) > 1 and stack[0].part == "steps" else None
    for path, value in _walk(lines):
        if path == ("steps", number, "name"):
            return value.strip(" '\"")
    return None


def _already_listed(lines: Sequence[str], line: int) -> set[str]:
    """The items above and below in the block list that the cursor is in."""
    taken: set[str] = set()
    for step in (-1, 1):
        at = line + step
        while 0 <= at < len(lines) and lines[at].lstrip().startswith("- ") and ":" not in lines[at]:
            taken.add(lines[at].strip()[2:].strip(" '\""))
            at += step
    return taken


def _walk(lines: Sequence[str]) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """Every `key: value` with its path."""
    stack: list[_Frame] = []
    block: int | None = None
    for number, text in enumerate(lines):
        found = _LINE.match(text)
        if found is None or not text.strip() or text.lstrip().startswith("#"):
            continue
        indent = len(found.group("indent"))
        if block is not None and indent > block:
            continue
        block = None
        start = found.start("rest")
        for dash in _dashes(found):
            _enter_item(stack, dash, number)
        key = _KEY.match(found.group("rest"))
        if key is not None:
            _leave(stack, start)
            stack.append(_Frame(start, key.group("key"), number))
            yield tuple(frame.part for frame in stack), key.group("value")
        if _BLOCK.search(key.group("value") if key is not None else found.group("rest")):
            block = start if key is not None else indent


def _templates(lines: Sequence[str], begun: str, column: int) -> CompletionList:
    """What can be filled in: facts of the run, parameters, values of a matrix."""
    names = dict(_RUN_FACTS)
    for path, value in _walk(lines):
        if len(path) == 3 and path[0] == "params" and path[2] == "name" and value:
            names[f"params.{value.strip()}"] = "A parameter of the run"
        if len(path) >= 3 and path[-3:-1] == ("matrix", "dimensions"):
            names[f"matrix.{path[-1]}"] = "The value of this combination"
    items = [CompletionItem(name, f"{name}}}}}", about) for name, about in names.items()]
    return CompletionList(column - len(begun), _matching(items, begun))


def _matching(items: Sequence[CompletionItem], begun: str) -> tuple[CompletionItem, ...]:
    """Those that begin so, then those that hold its letters in this order; not what is there already."""
    typed = begun.lower()
    first = [item for item in items if item.label.lower().startswith(typed)]
    if len(first) == 1 and first[0].label == begun:
        return ()
    letters = re.compile(".*?".join(re.escape(char) for char in typed))
    rest = [item for item in items if item not in first and letters.search(item.label.lower())]
    return tuple(first + rest)


def _in_comment(before: str) -> bool:
    """Whether a `#` outside quotes begins a comment before the cursor."""
    quote = ""
    for at, char in enumerate(before):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and (at == 0 or before[at - 1] in " [,:{"):
            quote = char
        elif char == "#" and (at == 0 or before[at - 1] == " "):
            return True
    return False
