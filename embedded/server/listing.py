"""Lists: selected, paged, and spliced together from stored bytes where nothing has to be decoded."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from embedded.machinery.errors import bad_request, gone
from embedded.machinery.registry import Registry
from embedded.machinery.resources import ResourceType
from embedded.machinery.selectors import predicate
from embedded.machinery.tables import table
from embedded.storage.store import encode

Json = dict[str, Any]


def table_wanted(accept: str) -> bool:
    return "as=Table" in accept


def list_chunks(
    registry: Registry, resource: ResourceType, namespace: str | None, query: Mapping[str, str], accept: str
) -> list[bytes]:
    """The JSON of a list or a Table, in pieces: those of a list are the stored objects, not copied.

    Raises:
        ApiError: 400 for a selector, limit or continue token that can't be read.
    """
    matches = predicate(query.get("labelSelector", ""), query.get("fieldSelector", ""), resource.key)
    limit = _number(query.get("limit", ""), "limit")
    after, revision = _resume(query.get("continue", ""), registry)
    bodies: list[bytes] = []
    metadata: Json = {"resourceVersion": revision}
    for key, body in registry.store.scan(resource.key, namespace, after):
        if matches is not None and not matches(json.loads(body)):
            continue
        if limit and len(bodies) == limit:
            metadata["continue"] = _token(revision, after)
            break
        bodies.append(body)
        after = (key.namespace, key.name)
    if table_wanted(accept):
        objects = [json.loads(body) for body in bodies]
        include = query.get("includeObject", "Metadata")
        return [encode(table(resource, objects, metadata, include=include, now=registry.clock()))]
    head = {"kind": resource.listed_as, "apiVersion": resource.api_version, "metadata": metadata}
    chunks = [encode(head)[:-1] + b',"items":[']
    for body in bodies:
        chunks += (body, b",")
    if bodies:
        chunks.pop()
    chunks.append(b"]}")
    return chunks


def pieces(chunks: list[bytes], size: int) -> Iterator[bytes]:
    """The chunks joined to pieces of about a size, for a socket; takes them out of the list on the way."""
    chunks.reverse()
    waiting: list[bytes] = []
    length = 0
    while chunks:
        waiting.append(chunks.pop())
        length += len(waiting[-1])
        if length >= size:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


def _number(text: str, name: str) -> int:
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError:
        raise bad_request(f"{name}: Invalid value: {text!r}: must be a number") from None


def _token(revision: str, after: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([revision, *after]).encode()).decode()


def _resume(token: str, registry: Registry) -> tuple[tuple[str, str], str]:
    """Where the next page starts (behind which namespace and name) and the revision that the list had."""
    if not token:
        return ("", ""), str(registry.store.revision)
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, binascii.Error):
        raise bad_request("invalid continue token: continue key is not valid") from None
    if not str(revision).isdigit() or int(revision) > registry.store.revision:
        raise gone(registry.store.revision, 0)
    return (str(namespace), str(name)), str(revision)
