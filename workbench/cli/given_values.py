"""Values that must not be arguments, which other users could see: from files, standard input, or a prompt."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.cli.output.console import InputError
from workbench.text.sanitize import sanitize_line

_MAX_TOKEN = 65_536


def read_text(path: Path, what: str, limit: int) -> str:
    """The text of a file of at most so many bytes. Raises InputError."""
    path = path.expanduser()
    try:
        with path.open("rb") as file:
            return as_text(file.read(limit + 1), str(path), limit)
    except OSError as error:
        raise InputError(f"can't read {what}: {error}") from error


def as_text(value: bytes, origin: str, limit: int) -> str:
    """UTF-8 text of at most so many bytes. Raises InputError."""
    if len(value) > limit:
        raise InputError(f"{origin} is larger than {_size(limit)}, the limit for a secret")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{origin} is not UTF-8 text; encode it first, for example with base64") from error


def read_value(label: str, limit: int) -> str:
    """A value from standard input, or prompted for on a terminal. The newline after a single line is removed."""
    if sys.stdin.isatty():
        return str(click.prompt(sanitize_line(label, colour=False), hide_input=True, err=True))
    text = as_text(sys.stdin.buffer.read(limit + 1), "standard input", limit)
    return text[:-1] if text.endswith("\n") and text.count("\n") == 1 else text


def read_token() -> str:
    """A token of one line from standard input, or prompted for. Raises InputError."""
    token = read_value("token", _MAX_TOKEN).strip()
    if not token or "\n" in token:
        raise InputError("standard input has no token of one line")
    return token


def _size(limit: int) -> str:
    return f"{limit // (1024 * 1024)} MiB" if limit >= 1024 * 1024 else f"{limit // 1024} KiB"
