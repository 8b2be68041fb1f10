"""What the controller says of pipeline files, and the pipelines that it has saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Diagnostic:
    """A lint result. `line` and `column` count from 1; 0 means the whole file."""

    line: int
    column: int
    path: str
    severity: str
    code: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class LintResponse:
    """Lint results. `would_run` and `why` are None unless the request named an event."""

    problems: tuple[Diagnostic, ...]
    would_run: bool | None
    why: str | None


@dataclass(frozen=True)
class SavedPipeline:
    """A pipeline saved in the cluster."""

    name: str
    definition: Mapping[str, Any]
