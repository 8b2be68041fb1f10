"""How a write is meant, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PatchType = Literal["merge", "json", "strategic", "apply"]


@dataclass(frozen=True)
class WriteOptions:
    """How a write is meant.

    Attributes:
        subresource: None for the object itself, `status`, or of a namespace `finalize`.
        strict: unknown fields are refused instead of dropped.
        field_manager: who writes, for the record that server-side apply keeps.
        duplicate_fields: what the request says twice, in words; a strict write is refused for it.
        force: an application takes over fields that others own.
    """

    subresource: str | None = None
    dry_run: bool = False
    strict: bool = False
    field_manager: str = "unknown"
    force: bool = False
    duplicate_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class WriteResult:
    """An object as it is after a write, as JSON, whether the write made it, and what of the request was left out."""

    body: bytes
    created: bool = False
    warnings: tuple[str, ...] = ()
