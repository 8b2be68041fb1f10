"""Writes pipeline definitions as YAML with comments, for commands that create pipeline files.

The YAML library writes no comments. Every text is written in the plainest style that reads back as the same text:
plain, as a block, or in quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from workbench.text.sanitize import has_hidden_characters

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FLOW_WIDTH = 90
_BLOCK_LISTS = frozenset({"commands", "steps"})
"""Lists that are always written with one entry a line."""
_COMMENT_WIDTH = 110


@dataclass(frozen=True)
class Commented:
    """A value with comment lines above it; a line may be empty."""

    value: Any
    comments: tuple[str, ...]


def write_pipeline_text(definition: Mapping[str, Any], header: Sequence[str] = ()) -> str:
    """The definition as YAML, below a comment of the `header` lines, with an empty line before each step.

    Values are texts, booleans, integers, lists and maps; any of them may be `Commented`. Texts are printable or are
    escaped, comments lose what is not printable.
    """
    lines = [*_comment(header, ""), *_map(definition, "", top=True)]
    return "\n".join(lines) + "\n"


def _map(value: Mapping[str, Any], indent: str, *, top: bool = False) -> Iterator[str]:
    for key, item in value.items():
        content, comments = _unwrap(item)
        yield from _comment(comments, indent)
        yield from _entry(f"{indent}{_scalar(key, flow=False)}:", key, content, indent, top=top)


def _entry(start: str, key: str, value: Any, indent: str, *, top: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        if not value:
            yield f"{start} {{}}"
            return
        yield start
        yield from _map(value, indent + "  ")
    elif isinstance(value, list | tuple):
        flow = _flow_list(value) if key not in _BLOCK_LISTS else None
        if flow is not None and len(start) + len(flow) < _FLOW_WIDTH:
            yield f"{start} {flow}"
            return
        yield start if value else f"{start} []"
        yield from _list(value, indent + "  ", spaced=top and key == "steps")
    else:
        yield f"{start} {_leaf(value, indent)}"


def _list(value: Sequence[Any], indent: str, *, spaced: bool) -> Iterator[str]:
    for number, item in enumerate(value):
        content, comments = _unwrap(item)
        if spaced and number:
            yield ""
        yield from _comment(comments, indent)
        if isinstance(content, Mapping) and content:
            # Comments of the first key go above the entry, where the dash does not separate them from it.
            lines = list(_map(content, indent + "  "))
            first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
            yield from (indent + line.strip() for line in lines[:first])
            yield f"{indent}- {lines[first].strip()}"
            yield from lines[first + 1 :]
        elif isinstance(content, list | tuple):
            yield f"{indent}- {_flow_list(content) or '[]'}"
        else:
            yield f"{indent}- {_leaf(content, indent)}"


def _unwrap(item: Any) -> tuple[Any, tuple[str, ...]]:
    comments: tuple[str, ...] = ()
    while isinstance(item, Commented):
        item, comments = item.value, comments + item.comments
    return item, comments


def _comment(lines: Sequence[str], indent: str) -> Iterator[str]:
    for line in lines:
        text = "".join(char if char.isprintable() else " " for char in line).rstrip()
        while len(text) > _COMMENT_WIDTH and (cut := text.rfind(" ", 20, _COMMENT_WIDTH)) > 0:
            yield f"{indent}# {text[:cut].rstrip()}"
            text = "  " + text[cut:].lstrip()
        yield f"{indent}# {text}" if text else f"{indent}#"


def _flow_list(value: Sequence[Any]) -> str | None:
    """A list of short texts on one line; None if it holds anything else."""
    if not all(isinstance(item, str | int) and "\n" not in str(item) for item in value):
        return None
    return f"[{', '.join(_scalar(item, flow=True) if isinstance(item, str) else _leaf(item, '') for item in value)}]"


def _leaf(value: Any, indent: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if "\n" in text and (block := _block(text, indent)) is not None:
        return block
    return _scalar(text, flow=False)


def _scalar(text: str, *, flow: bool) -> str:
    if text and text.isprintable() and _reads_back(text, text, flow=flow):
        return text
    if text.isprintable() and _reads_back(single := "'" + text.replace("'", "''") + "'", text, flow=flow):
        return f'"{text}"' if '"' not in text and "\\" not in text else single
    # The library leaves characters as they are that change how a terminal shows the rest of the line.
    is_plain = not has_hidden_characters(text)
    quoted: str = yaml.safe_dump(text, default_style='"', width=10**9, allow_unicode=is_plain)
    return quoted.rstrip("\n")


def _reads_back(written: str, text: str, *, flow: bool) -> bool:
    try:
        document = f"- [{written}]" if flow else f"- k: {written}"
        read = yaml.load(document, Loader=_LOADER)  # noqa: S506 (a safe loader)
    except yaml.YAMLError:
        return False
    return bool(read == ([[text]] if flow else [{"k": text}]))


def _block(text: str, indent: str) -> str | None:
    """A literal block; None if the text can't be written as one."""
    if not all(line.isprintable() for line in text.replace("\t", " ").split("\n")):
        return None
    body = text.removesuffix("\n")
    lines = [f"{indent}  {line}" if line else "" for line in body.split("\n")]
    written = ("|" if text.endswith("\n") else "|-") + "\n" + "\n".join(lines)
    try:
        read = yaml.load(f"{indent}k: {written}\n", Loader=_LOADER)  # noqa: S506 (a safe loader)
    except yaml.YAMLError:
        return None
    return written if read == {"k": text} else None
