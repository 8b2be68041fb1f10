"""Durations, ages and sizes as short text, as the dashboard shows them too; paths."""

from pathlib import Path

from controller.text_format import format_age, format_duration, format_size, format_timestamp, plural

__all__ = ["format_age", "format_duration", "format_path", "format_size", "format_timestamp", "plural"]


def format_path(path: Path, home: str | None) -> str:
    """The path, with `~` for the home folder as in a shell."""
    return f"~/{path.relative_to(home)}" if home and path.is_relative_to(home) else str(path)
