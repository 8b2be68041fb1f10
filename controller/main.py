"""The entry point of the controller: reads the settings, configures logging and runs the manager.

Exit codes: 0 after a stop signal, 1 when a runnable failed (a supervisor should restart the process), 2 for invalid
settings.
"""

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from controller.operator.log_context import ReconcileLogFilter
from controller.settings import SettingsError, parse_settings

log = logging.getLogger("c8s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the controller; returns the exit code."""
    try:
        settings = parse_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
        configure_logging(settings.log_level)
        # What is imported stays: collections would only look at it, again and again. `import_modules` ends this.
        gc.disable()
        # Only now: --help and a wrong flag need none of it.
        from controller.runtime.http_library import import_aiohttp

        import_aiohttp()
        from controller.runtime.manager import run

        return asyncio.run(run(settings, os.environ))
    except SettingsError as error:
        print(f"c8s-controller: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the fields of `extra`, and the traceback."""

    _standard_fields = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line: JSON escapes line breaks."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "logger": record.name}
        line["message"] = record.getMessage()
        line |= {key: value for key, value in vars(record).items() if key not in self._standard_fields}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Logs JSON lines to stderr.

    Uvicorn logs the addresses of WebSockets, which contain tickets: only its warnings are logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(ReconcileLogFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
