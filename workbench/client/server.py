"""Where a controller is, as far as a client has to know."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Door(Protocol):
    """Where a controller is; `workbench.sandbox.Endpoint` is one."""

    @property
    def url(self) -> str: ...
    @property
    def token_file(self) -> Path: ...
    @property
    def namespace(self) -> str: ...
    @property
    def sandbox(self) -> str | None: ...
