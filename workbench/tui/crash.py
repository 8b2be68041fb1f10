"""Runs an app; after a fault of ours leaves a report on disk, the terminal as it was, and says how to tell of it.

What only a report needs is imported when there is one: every start would wait for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.text.sanitize import sanitize_label, sanitize_line

if TYPE_CHECKING:
    from textual.app import ReturnType

    from workbench.tui.base_app import BaseApp

_TERMINAL_VARIABLES = ("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "LANG")


@dataclass(frozen=True)
class Crash:
    """`text` is the report, `path` where it is; None where it could not be written, for `problem`."""

    summary: str
    text: str
    path: Path | None
    problem: str | None = None


def run(app: BaseApp[ReturnType]) -> ReturnType | None:
    """Run an app until somebody leaves it, or until a fault of ours ends it, which is told on stderr.

    Then `app.crash` is set, and `exit_code` is 1.
    """
    left = None
    try:
        left = app.run(mouse=app.options.preferences.mouse)
    except Exception as error:  # The last boundary: what fails here is ours to tell, not to show as a traceback.
        if app.crash is None:
            app.crash = write_report(app, error, app.save_unsaved)
    if app.crash is not None:
        print(crash_message(app.crash), file=sys.stderr)
    return left


def exit_code(app: BaseApp[Any]) -> int:
    """0 when it was left, 1 when it failed."""
    return 1 if app.crash is not None else app.return_code or 0


def write_report(app: BaseApp[Any], error: BaseException, save_unsaved: Callable[[], None]) -> Crash:
    """Keep what would be lost, and write the report."""
    import traceback

    from workbench.session.crash_report import format_crash_report, redact, save_report

    told = describe_environment(app)
    try:
        save_unsaved()
    except Exception as second:  # The app is ending by a fault; another one must not hide the first.
        told["also"] = "".join(traceback.format_exception_only(second)).strip()
    now = datetime.now(UTC)
    text = sanitize_lines(format_crash_report(error, told, now, Path.home()))
    summary = sanitize_label(redact("".join(traceback.format_exception_only(error)).strip()), 300)
    if app.options.reports_folder is None:
        return Crash(summary, text, None)
    try:
        return Crash(summary, text, save_report(app.options.reports_folder, text, now))
    except OSError as trouble:
        return Crash(summary, text, None, str(trouble))


def crash_message(crash: Crash) -> str:
    """What is said on the terminal that the workbench has left."""
    lines = [f"error: the workbench has failed: {crash.summary}"]
    if crash.path is not None:
        lines += [
            f"What happened is written in {crash.path}",
            "(where it failed, versions, the terminal; no values of variables, no logs, no pipelines).",
            "To report it, look through that file and send it to the maintainers of c8s.",
        ]
    else:
        lines += [
            f"The report could not be written ({crash.problem or 'no folder for it'}). It is this:",
            "",
            crash.text,
        ]
    return "\n".join([*lines, "Unsaved text is kept; it is there again when its file is edited the next time."])


def describe_environment(app: BaseApp[Any]) -> dict[str, str]:
    """What tells a maintainer where it happened; nothing about the user, the pipelines or the place."""
    import platform

    found = {name: _version(package) for name, package in (("c8s", "c8s-workbench"), ("textual", "textual"))}
    found["python"] = platform.python_version()
    found["platform"] = platform.platform()
    size = app.size
    terminal = " ".join(
        f"{name}={sanitize_label(os.environ[name], 40)}" for name in _TERMINAL_VARIABLES if name in os.environ
    )
    found["terminal"] = f"{size.width}x{size.height} {terminal}{' in tmux' if 'TMUX' in os.environ else ''}"
    found["screens"] = " > ".join(type(screen).__name__ for screen in app.screen_stack) if app.is_running else "none"
    found["theme"] = f"{app.theme}{', ASCII' if app.options.ascii_only else ''}"
    return found


def sanitize_lines(text: str) -> str:
    """The text with every control character but newlines made harmless: it may hold what somebody's step printed."""
    return "\n".join(sanitize_line(line, colour=False) for line in text.split("\n"))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
