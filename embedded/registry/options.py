"""Options and results of writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from embedded.types import JsonObject

PatchType = Literal["merge", "json", "strategic", "apply"]


@dataclass(frozen=True)
class WriteOptions:
    """The options of a create, update or patch.

    Attributes:
        subresource: None for the object itself, `status`, or for a namespace `finalize`.
        strict: unknown and repeated fields are errors; otherwise they are dropped with a warning.
        field_manager: the owner that server-side apply records for the written fields.
        duplicate_fields: one message for each field that the request repeats.
        force: an apply patch takes over fields that other managers own.
        events_v1: the request was one of events.k8s.io/v1, whose rules are stricter.
    """

    subresource: str | None = None
    dry_run: bool = False
    strict: bool = False
    field_manager: str = "unknown"
    force: bool = False
    duplicate_fields: tuple[str, ...] = ()
    events_v1: bool = False


@dataclass(frozen=True)
class WriteResult:
    """What a write stored, or with a dry run would store.

    Attributes:
        body: the object as JSON.
        created: the object is new.
        warnings: the fields of the request that were dropped or repeated.
    """

    body: bytes
    created: bool = False
    warnings: tuple[str, ...] = ()

    @cached_property
    def object(self) -> JsonObject:
        """The decoded `body`; it belongs to the caller."""
        decoded: JsonObject = json.loads(self.body)
        return decoded
