"""The members of a structured secret: strings in JSON and YAML, the body of a PEM file, values of a .env file. Pure.

A program seldom prints a key file as it is: it prints the token in it. Documents and the number of members are
bounded, because a secret may have a megabyte.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

MIN_MEMBER_BYTES = 8
MAX_MEMBERS = 200
_MAX_JSON_BYTES = 256 * 1024
_MAX_YAML_BYTES = 64 * 1024
_MAX_DEPTH = 30

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PEM = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,60})-----\s*(?:[A-Za-z-]{1,40}:[^\n]*\n)*([A-Za-z0-9+/=\s]+)-----END \1-----"
)
_ASSIGNMENT = re.compile(rb"^[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.]*[ \t]*=[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_URL_PASSWORD = re.compile(rb"://[^/\s:@]*:([^/\s@]+)@")
_LOOKS_LIKE_YAML = re.compile(r"^[ \t]*(?:- |[\w.\"'/-]+[ \t]*:(?:\s|$))", re.MULTILINE)


def secret_members(value: bytes) -> list[bytes]:
    """The members of 8 bytes or more, without the value itself; those of a member are included."""
    found: dict[bytes, None] = {}
    waiting = [(value, 0)]
    while waiting and len(found) < MAX_MEMBERS:
        text, depth = waiting.pop()
        for member in _members(text):
            if len(member.strip()) >= MIN_MEMBER_BYTES and member not in found and member != value:
                found[member] = None
                if depth < _MAX_DEPTH:
                    waiting.append((member, depth + 1))
            if len(found) >= MAX_MEMBERS:
                break
    return list(found)


def pem_bodies(value: bytes) -> list[bytes]:
    """The base64 text of each PEM block (RFC 7468), without its line breaks."""
    return [b"".join(body.split()) for _, body in _PEM.findall(value)]


def _members(value: bytes) -> Iterator[bytes]:
    yield from pem_bodies(value)
    yield from _URL_PASSWORD.findall(value)
    if b"\n" in value.strip():
        for each in _ASSIGNMENT.findall(value):
            yield each
            if len(each) > 1 and each[:1] == each[-1:] and each[:1] in b"'\"":
                yield each[1:-1]
    yield from _leaves(_parse(value))


def _parse(value: bytes) -> Any:
    """The JSON or YAML document if the value is one with members; else None."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if len(value) <= _MAX_JSON_BYTES and text.lstrip()[:1] in ("{", "[", '"'):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    if len(value) > _MAX_YAML_BYTES or not _LOOKS_LIKE_YAML.search(text):
        return None
    try:
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return None if isinstance(found, str) else found


def _leaves(document: Any) -> Iterator[bytes]:
    """The strings of a document, and the bytes. An object that aliases name many times is visited once."""
    waiting, visited = [document], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each.encode("utf-8", "surrogatepass")
        elif isinstance(each, bytes):
            yield each
        elif isinstance(each, dict | list | tuple | set) and id(each) not in visited:
            visited.add(id(each))
            waiting.extend(each.values() if isinstance(each, dict) else each)
