"""The controller's process: composes the roles, runs them until it is told to stop or a part of it fails.

Exit codes: 0 stopped as asked, 1 a part failed (whoever supervises starts us again), 2 the settings make no sense. Nothing here
decides anything about runs.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.settings import Settings, SettingsError, read

KEY_BYTES = 32
LEAST_KEY_BYTES = 16
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0

log = logging.getLogger("c8s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the controller; the exit code."""
    try:
        settings = read(sys.argv[1:] if arguments is None else arguments, os.environ)
        start_logging(settings.log_level)
        return asyncio.run(_run(settings))
    except SettingsError as error:
        print(f"c8s-controller: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what was given as `extra`, and the traceback if there is one."""

    _usual = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "logger": record.name}
        line["message"] = record.getMessage()
        line |= {key: value for key, value in vars(record).items() if key not in self._usual}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def start_logging(level: str) -> None:
    """Structured lines on stderr. Uvicorn says every socket's address, tickets included: only its warnings are wanted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def agent_key(file: Path) -> bytes:
    """The key that signs agents' tokens and links: read, or made (0600) when there is none. Raises SettingsError."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as new:
            new.write(secrets.token_bytes(KEY_BYTES))
    key = file.read_bytes()
    if len(key) < LEAST_KEY_BYTES:
        raise SettingsError(
            f"--agent-key-file {file}: the key has {len(key)} bytes, at least {LEAST_KEY_BYTES} are wanted"
        )
    return key


def listener(settings: Settings) -> socket.socket:
    """The listening socket, inherited or bound. Raises SettingsError."""
    try:
        if settings.listen_fd is not None:
            return socket.socket(fileno=settings.listen_fd)
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        where = (
            f"--listen-fd {settings.listen_fd}"
            if settings.listen_fd is not None
            else f"{settings.host}:{settings.port}"
        )
        raise SettingsError(f"can't listen on {where}: {error.strerror}") from error


def url_of(sock: socket.socket) -> str:
    """Where the socket can be reached from this machine."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
