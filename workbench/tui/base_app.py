"""What the workbench's apps have in common: its user's likings, what was said, and how a fault ends them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, ReturnType
from textual.binding import Binding
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.worker import WorkerFailed

from workbench.config.preferences import Preferences
from workbench.session.notifications import NotificationHistory
from workbench.session.view_state import ThemeChoice, ViewState
from workbench.text.sanitize import sanitize_label
from workbench.tui.terminal.ascii_filter import AsciiFilter, supports_unicode
from workbench.tui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from workbench.tui.crash import Crash

_MAX_NOTICES = 4
"""Problems that are shown at once."""
_NOTICE_TIMEOUT = 15.0
"""Seconds for which what is wrong with a file of somebody's is shown."""


@dataclass(frozen=True)
class AppOptions:
    """How somebody wants the apps to be, and where what they were like is kept."""

    preferences: Preferences = field(default_factory=Preferences)
    ascii_only: bool = False
    view_state: ViewState | None = None
    """Where one was the last time, and the theme that was chosen; None: nothing is kept."""
    reports_folder: Path | None = None
    """The folder of the crash reports; None: none are written."""


DEFAULT_OPTIONS = AppOptions()


def load_options(environ: Mapping[str, str] = os.environ) -> AppOptions:
    """Those of the user on this machine and in this folder."""
    from workbench.config.contexts import config_path
    from workbench.config.preferences import read_preferences
    from workbench.session.view_state import workbench_folder

    preferences, kept = read_preferences(config_path()), workbench_folder()
    ascii_only = preferences.ascii if preferences.ascii is not None else not supports_unicode(environ)
    return AppOptions(preferences, ascii_only, ViewState(kept, Path.cwd()), kept / "crashes")


def key_label(app: App[Any], action: str, default: str) -> str:
    """How the (first) key of an action is called in a sentence; `usual` is what it has from the start."""
    given = app.custom_keys.get(action, "").partition(",")[0] if isinstance(app, BaseApp) else ""
    return app.get_key_display(Binding(given, "")) if given else default


class BaseApp(App[ReturnType]):
    """An app with its user's theme, keys and characters. `messages` holds all that was said in passing."""

    def __init__(self, options: AppOptions = DEFAULT_OPTIONS) -> None:
        super().__init__()
        self.options = options
        self.messages = NotificationHistory()
        self.crash: Crash | None = None
        """What ended the app, when a fault did."""
        self.custom_keys: Mapping[str, str] = {}
        """The keys that were given to actions in the config."""
        self._pending_notices = list(options.preferences.problems)
        self._ascii_filters = [AsciiFilter()] if options.ascii_only else []
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = self._initial_theme()
        self._saved_theme = self.theme
        if "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"
        self._take_keys()

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._ascii_filters]

    def on_mount(self) -> None:
        self.set_keymap(self.custom_keys)
        self.theme_changed_signal.subscribe(self, lambda _: self._save_theme())
        self._notify_last_crash()
        self.notify_problems(*self._pending_notices)
        self._pending_notices = []

    def notify_problems(self, *problems: str) -> None:
        """Say what is wrong with a file of somebody's; of much that is wrong the rest is only listed."""
        for problem in problems[:_MAX_NOTICES]:
            self.notify(
                sanitize_label(problem, 500),
                title="Workbench",
                severity="warning",
                markup=False,
                timeout=_NOTICE_TIMEOUT,
            )
        if rest := problems[_MAX_NOTICES:]:
            for problem in rest:
                self.messages.add(datetime.now(UTC), "warning", "Workbench", problem)
            told = f"{len(rest)} more things are wrong; {key_label(self, 'app.messages', 'H')} lists them."
            self.notify(told, title="Workbench", severity="warning", markup=False, timeout=_NOTICE_TIMEOUT)

    def _notify_last_crash(self) -> None:
        from workbench.session.crash_report import take_unseen_report

        report = take_unseen_report(self.options.reports_folder) if self.options.reports_folder is not None else None
        if report is not None:
            self._pending_notices.append(f"The workbench failed the last time. What happened is written in {report}; "
                                 "it can be sent to the maintainers of c8s.")  # fmt: skip

    # -- theme

    def _initial_theme(self) -> str:
        """The one chosen here last, unless the config has changed since then; else the config's; else ours."""
        wanted = self.options.preferences.theme
        memory = self.options.view_state
        choice, problem = memory.load_theme() if memory is not None else (None, None)
        if problem is not None:
            self._pending_notices.append(problem)
        if choice is not None and choice.over == wanted and choice.name in self.available_themes:
            return choice.name
        if wanted is None or wanted in self.available_themes:
            return wanted or DARK.name
        from difflib import get_close_matches

        near = get_close_matches(wanted, self.available_themes, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        self._pending_notices.append(f"theme: there is no theme `{wanted}`{hint}")
        return DARK.name

    def _save_theme(self) -> None:
        if self.options.view_state is None or self.theme == self._saved_theme:
            return
        self._saved_theme = self.theme
        try:
            self.options.view_state.save_theme(ThemeChoice(self.theme, self.options.preferences.theme))
        except OSError as error:
            self.notify_problems(f"The theme can't be kept for the next time: {error}")

    # -- keys

    def _take_keys(self) -> None:
        if self.options.preferences.keys:
            from workbench.tui.keybindings import resolve_keymap

            chosen = resolve_keymap(self.options.preferences.keys)
            self.custom_keys = chosen.keys
            self._pending_notices += chosen.problems

    def format_keys(self, binding: Binding) -> str:
        """All keys of an action, as they are shown."""
        given = self.custom_keys.get(binding.id or "", binding.key)
        return " ".join(self.get_key_display(one) for one in Binding.make_bindings([Binding(given, "")]))

    # -- what was said

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        self.messages.add(datetime.now(UTC), severity, title, message)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    async def _shutdown(self) -> None:
        # A worker that goes on while its screen is taken apart would look for widgets that are gone.
        self.workers.cancel_all()
        await super()._shutdown()

    # -- a fault of ours

    def save_unsaved(self) -> None:
        """Keep what would be lost with the app."""

    def _handle_exception(self, error: Exception) -> None:
        """Write a report first. Textual's own way out would print local variables; tokens may be among them."""
        if self.crash is None:
            from workbench.tui.crash import write_report

            cause = error.error if isinstance(error, WorkerFailed) else error
            self.crash = write_report(self, cause, self.save_unsaved)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        self.panic()
