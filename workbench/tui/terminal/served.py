"""What differs where the terminal is a page of `c8s serve`: the browser saves files, and shows no other program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual.app import App

NO_PROGRAM = "A browser can't show another program in place of the workbench; a terminal can."


def is_served(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is an app of `c8s serve`."""
    return environment.get("C8S_SERVED") == "1"


def give_file(app: App[Any], path: Path, name: str) -> None:
    """Let the browser save a file, and delete it here. Raises OSError."""
    app.deliver_binary(path, save_filename=name, mime_type="application/octet-stream")
    # It is open already.
    path.unlink(missing_ok=True)
