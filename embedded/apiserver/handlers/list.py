"""Lists: filtered, paged, and spliced together from stored bytes where nothing has to be decoded.

All pages of a list show the objects at the revision of the first page, until the history of changes is compacted.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from embedded.api.scheme import ResourceType
from embedded.api.selectors import parse_selectors
from embedded.api.status_errors import ApiError, bad_request
from embedded.apiserver import negotiation, query_options
from embedded.registry.registry import Registry
from embedded.storage.sqlite import CompactedError, StorageKey, encode_json

Json = dict[str, Any]
Chunk = bytes | memoryview

_INCONSISTENT = -1
"""Revision in the continue token of a list that need not be consistent."""
_EXPIRED_MESSAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True)
class _ListPosition:
    """The position of a page: its revision, and the namespace and name of the object before it."""

    revision: int
    after: tuple[str, str] = ("", "")
    continued: bool = False

    def token(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.revision, *self.after]).encode()).decode()


def list_chunks(
    registry: Registry, resource: ResourceType, namespace: str | None, query: Mapping[str, str], accept: str
) -> list[Chunk]:
    """The JSON of a list or Table in chunks; those of a list are the stored objects, not copied.

    Raises:
        ApiError: 400 for an invalid selector, limit or continue token, 410 for a compacted revision, 422 for options
            that contradict each other, 504 for a revision in the future.
    """
    form = negotiation.negotiate(accept)
    query_options.validate_list_options(query)
    matches = parse_selectors(
        query.get("labelSelector", ""), query.get("fieldSelector", ""), resource.key, resource.selectable_fields
    )
    limit = max(0, query_options.parse_int(query, "limit") or 0)
    page = _start_position(query, registry)
    metadata: Json = {"resourceVersion": str(page.revision)}
    bodies: list[bytes] = []
    after = page.after
    rest = _scan(registry, resource, namespace, page)
    for key, body in rest:
        if matches is not None and not matches(json.loads(body)):
            continue
        if limit and len(bodies) == limit:
            metadata["continue"] = _ListPosition(page.revision, after).token()
            if matches is None:
                metadata["remainingItemCount"] = 1 + sum(1 for _ in rest)
            break
        bodies.append(body)
        after = (key.namespace, key.name)
    if form.shape != "object":
        include = query.get("includeObject", "Metadata")
        return [negotiation.encode_list(form, resource, bodies, metadata, include=include, now=registry.clock())]
    head = {"kind": resource.effective_list_kind, "apiVersion": resource.api_version, "metadata": metadata}
    return [encode_json(head)[:-1] + b',"items":[', *_join_items(registry, resource, bodies), b"]}"]


def _join_items(registry: Registry, resource: ResourceType, bodies: list[bytes]) -> list[Chunk]:
    """The objects, separated by commas. Objects of built-in kinds have no kind and apiVersion: the list has them."""
    type_meta = encode_json({"kind": resource.kind, "apiVersion": resource.api_version})[:-1] + b","
    chunks: list[Chunk] = []
    for body in bodies:
        versioned = registry.convert(resource, body)
        if resource.schema is None and versioned.startswith(type_meta):
            chunks += (b"{", memoryview(versioned)[len(type_meta) :], b",")
        else:
            chunks += (versioned, b",")
    return chunks[:-1]


def join_chunks(chunks: list[Chunk], size: int) -> Iterator[bytes]:
    """Join chunks to blocks of at least `size` bytes, for a socket; empties the list on the way."""
    chunks.reverse()
    waiting: list[Chunk] = []
    length = 0
    while chunks:
        waiting.append(chunks.pop())
        length += len(waiting[-1])
        if length >= size:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


def _start_position(query: Mapping[str, str], registry: Registry) -> _ListPosition:
    now = registry.store.revision
    if token := query.get("continue", ""):
        return _parse_token(token, now)
    requested = query_options.parse_revision(query)
    query_options.require_reached_revision(query, now)
    return (
        _ListPosition(requested) if requested and query.get("resourceVersionMatch") == "Exact" else _ListPosition(now)
    )


def _parse_token(token: str, now: int) -> _ListPosition:
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, TypeError, binascii.Error):
        raise bad_request("invalid continue token: continue key is not valid") from None
    if type(revision) is not int or revision < _INCONSISTENT:
        raise bad_request("invalid continue token: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    # A revision in the future belongs to a database that was deleted: no consistent list is possible.
    known = 0 if revision > now else revision
    return _ListPosition(now if revision == _INCONSISTENT else known, (str(namespace), str(name)), continued=True)


def _scan(
    registry: Registry, resource: ResourceType, namespace: str | None, page: _ListPosition
) -> Iterator[tuple[StorageKey, bytes]]:
    try:
        return registry.store.scan_at(page.revision, resource.key, namespace, page.after)
    except CompactedError:
        if not page.continued:
            raise ApiError(410, "Expired", "The resourceVersion for the provided list is too old.") from None
        error = ApiError(410, "Expired", _EXPIRED_MESSAGE)
        error.continue_token = _ListPosition(_INCONSISTENT, page.after).token()
        raise error from None
