"""Writes a report when the app crashes, and tells the user where it is.

`traceback` and `platform` are imported when a report is written: importing them would delay every start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textual.app import App

from workbench.session.crash_report import Crash
from workbench.text.sanitize import sanitize_label, sanitize_line

_TERMINAL_VARIABLES = ("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "LANG")


def write_report(
    error: BaseException,
    environment: Mapping[str, str],
    folder: Path | None,
    save_unsaved: Callable[[], None],
    *,
    announce: bool = True,
) -> Crash:
    """Save what would be lost, then write the report to `folder` (None: write no file).

    `announce`: the next start tells about the report.
    """
    import traceback

    from workbench.session.crash_report import format_crash_report, redact, save_report

    facts = dict(environment)
    try:
        save_unsaved()
    except Exception as second:  # The app is crashing already; a second error must not hide the first.
        facts["also"] = "".join(traceback.format_exception_only(second)).strip()
    now = datetime.now(UTC)
    text = sanitize_lines(format_crash_report(error, facts, now, Path.home()))
    summary = sanitize_label(redact("".join(traceback.format_exception_only(error)).strip()), 300)
    if folder is None:
        return Crash(summary, text, None)
    try:
        return Crash(summary, text, save_report(folder, text, now, announce=announce))
    except OSError as problem:
        return Crash(summary, text, None, str(problem))


def error_place(error: BaseException) -> str:
    """The type of an error and the innermost place in the workbench where it was raised, to recognize it again."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}workbench{os.sep}" in frame.filename] or frames
    return f"{type(error).__name__} {own[-1].filename}:{own[-1].lineno}" if own else type(error).__name__


def crash_message(crash: Crash) -> str:
    """The message for stderr after a crash."""
    lines = [f"error: the workbench has crashed: {crash.summary}"]
    if crash.path is not None:
        lines += [
            f"The crash report is {crash.path}",
            "(stack trace, versions, terminal; no values of variables, no logs, no pipelines).",
            "To report the crash, check that file and send it to the maintainers of c8s.",
        ]
    else:
        lines += [f"The report could not be written ({crash.problem or 'no folder for it'}):", "", crash.text]
    return "\n".join([*lines, "Unsaved text is kept as a draft; it is restored when you edit the file again."])


def describe_environment(app: App[Any], *, ascii_only: bool) -> dict[str, str]:
    """Versions, terminal and open screens for a crash report; nothing about the user or the pipelines."""
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
    found["theme"] = f"{app.theme}{', ASCII' if ascii_only else ''}"
    return found


def sanitize_lines(text: str) -> str:
    """The text without control characters except newlines; it may contain the output of a step."""
    return "\n".join(sanitize_line(line, colour=False) for line in text.split("\n"))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
