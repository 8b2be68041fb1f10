"""Finds positions in a pipeline file from its indentation, because no parser reads an incomplete file.

Flow style (`{a: b}`) is not recognized.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PathPart = str | int

LINE = re.compile(r"^(?P<indent> *)(?P<dashes>(?:- +)*)(?P<rest>.*)$", re.DOTALL)
KEY = re.compile(r"^(?P<quote>['\"]?)(?P<key>[\w.$-]+)(?P=quote) *:(?P<space>\s+|$)(?P<value>.*)$", re.DOTALL)
_BLOCK = re.compile(r"(?:^|\s)[|>][-+0-9]*\s*(?:#.*)?$")


@dataclass(frozen=True)
class Frame:
    """A level of nesting: a key at its column, or the list item after a dash at its column."""

    column: int
    part: PathPart
    line: int


def open_frames(lines: Sequence[str], indent: int) -> list[Frame] | None:
    """The levels that are open after these lines; None if a line with `indent` would be inside a text block."""
    stack: list[Frame] = []
    block: int | None = None
    """The column of the key that owns the current text block."""
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
        found = LINE.match(text)
        assert found is not None
        rest, start = found.group("rest"), found.start("rest")
        if rest.strip() == "-":
            enter_item(stack, start, number)
            continue
        for dash in dash_columns(found):
            enter_item(stack, dash, number)
        key = KEY.match(rest)
        if key is not None:
            leave(stack, start)
            stack.append(Frame(start, key.group("key"), number))
        if _BLOCK.search(key.group("value") if key is not None else rest):
            block = start if key is not None else deep
    return stack if block is None or indent <= block else None


def dash_columns(found: re.Match[str]) -> Iterator[int]:
    start = found.start("dashes")
    return (start + at for at, char in enumerate(found.group("dashes")) if char == "-")


def enter_item(stack: list[Frame], column: int, line: int) -> None:
    """Enter the next item of the list at a dash; the list's key may be at the same column."""
    number = -1
    while stack and (stack[-1].column > column or (stack[-1].column == column and isinstance(stack[-1].part, int))):
        last = stack.pop()
        if last.column == column and isinstance(last.part, int):
            number = last.part
    stack.append(Frame(column, number + 1, line))


def leave(stack: list[Frame], column: int) -> None:
    """Close the levels at this column or further right, before a key or a value."""
    while stack and stack[-1].column >= column:
        stack.pop()


def sibling_keys(lines: Sequence[str], line: int, column: int, stack: Sequence[Frame]) -> frozenset[str]:
    """The other keys of the map at the cursor."""
    first = stack[-1].line if stack else 0
    present: set[str] = set()
    for number in range(first, len(lines)):
        text = lines[number]
        found = LINE.match(text)
        if found is None or not text.strip() or number == line:
            continue
        start = found.start("rest")
        if number > first and start < column:
            if number > line:
                break
            continue
        if number > line and found.group("dashes") and found.start("dashes") < column:
            break
        key = KEY.match(found.group("rest"))
        if key is not None and start == column:
            present.add(key.group("key"))
    return frozenset(present)


def walk_values(lines: Sequence[str]) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """The path and value of every `key: value`."""
    stack: list[Frame] = []
    block: int | None = None
    for number, text in enumerate(lines):
        found = LINE.match(text)
        if found is None or not text.strip() or text.lstrip().startswith("#"):
            continue
        indent = len(found.group("indent"))
        if block is not None and indent > block:
            continue
        block = None
        start = found.start("rest")
        for dash in dash_columns(found):
            enter_item(stack, dash, number)
        key = KEY.match(found.group("rest"))
        if key is not None:
            leave(stack, start)
            stack.append(Frame(start, key.group("key"), number))
            yield tuple(frame.part for frame in stack), key.group("value")
        if _BLOCK.search(key.group("value") if key is not None else found.group("rest")):
            block = start if key is not None else indent


def in_comment(before: str) -> bool:
    """Whether the cursor is in a comment, which starts with a `#` outside of quotes."""
    quote = ""
    for at, char in enumerate(before):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and (at == 0 or before[at - 1] in " [,:{"):
            quote = char
        elif char == "#" and (at == 0 or before[at - 1] == " "):
            return True
    return False
