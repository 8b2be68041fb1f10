"""How the step beside us has ended, by the file that its first process leaves."""

# ruff: noqa: PTH123
# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations


def read_exit_code(path: str) -> str | None:
    """The step's exit code in digits: "" for one that was killed before it left any, None for one that never began."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(16).strip()
    except FileNotFoundError:
        return None
