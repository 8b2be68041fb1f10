"""The base of all apps: the user's theme and keys, the notification history, and crash reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from textual import events
from textual.actions import ActionParseResult
from textual.app import App, ReturnType
from textual.await_complete import AwaitComplete
from textual.dom import DOMNode
from textual.driver import Driver
from textual.errors import NoWidget
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import NoActiveWorker, WorkerFailed, get_current_worker

from workbench.session.notifications import NotificationHistory
from workbench.session.view_state import ThemeChoice
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import ErrorBoundary, FailurePane, PaneBoundary, contain, current_node, is_going
from workbench.tui.keys import key_label
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions, is_writing
from workbench.tui.ordered_input import OrderedInput
from workbench.tui.terminal.ascii_filter import AsciiFilter
from workbench.tui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from workbench.session.crash_report import Crash

_MAX_NOTICES = 4
"""Problems shown as notifications; the others are only added to the history."""
_NOTICE_TIMEOUT = 15.0
"""Seconds for which a problem is shown."""


class BaseApp(OrderedInput, ErrorBoundary, App[ReturnType]):
    """An app with the theme, keys and characters of its user. `messages` is the history of its notifications."""

    def __init__(self, options: AppOptions = DEFAULT_OPTIONS) -> None:
        super().__init__()
        self.options = options
        self.messages = NotificationHistory()
        self.crash: Crash | None = None
        """Set when the app has crashed."""
        self.failures: dict[str, Crash] = {}
        """The failures of parts of screens that the app has survived, by error and place in the code."""
        self.custom_keys: Mapping[str, str] = options.keymap.keys
        """The keys that the config gives to actions."""
        self._pending_notices = list(options.preferences.problems)
        self._held_notices: list[Callable[[], None]] = []
        """Show the notifications that have come since a dialog was opened."""
        self._ascii_filters = [AsciiFilter()] if options.ascii_only else []
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = self._initial_theme()
        self._pending_notices += options.keymap.problems
        self._saved_theme = self.theme
        if "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"

    @property
    def ascii_only(self) -> bool:
        return self.options.ascii_only

    @property
    def read_only(self) -> bool:
        """Whether actions that change something are refused."""
        return self.options.read_only

    def get_driver_class(self) -> type[Driver]:
        default = super().get_driver_class()
        if sys.platform == "win32":
            return default
        from workbench.tui.terminal.driver import driver_for

        return driver_for(default)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Leave the terminal to another program, and take it back also if that fails, which Textual does not."""
        failure: BaseException | None = None
        with super().suspend():
            try:
                yield
            except BaseException as error:
                failure = error
        if failure is not None:
            raise failure

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._ascii_filters]

    def on_mount(self) -> None:
        self.set_keymap(self.custom_keys)
        self.theme_changed_signal.subscribe(self, lambda _: self._save_theme())
        self._notify_last_crash()
        self.notify_problems(*self._pending_notices)
        self._pending_notices = []

    def notify_problems(self, *problems: str) -> None:
        """Show problems with the user's files as notifications; of many, the rest is only listed in the history."""
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
            summary = f"{len(rest)} more problems; {key_label(self, 'app.messages', 'H')} lists them."
            self.notify(summary, title="Workbench", severity="warning", markup=False, timeout=_NOTICE_TIMEOUT)

    def _notify_last_crash(self) -> None:
        from workbench.session.crash_report import take_unseen_report

        report = take_unseen_report(self.options.reports_folder) if self.options.reports_folder is not None else None
        if report is not None:
            self._pending_notices.append(
                f"The workbench crashed last time. The report is {report}; you can send it to the maintainers of c8s."
            )

    @property
    def _background_screens(self) -> list[Screen[object]]:
        """The screens that can be seen below the current one.

        Textual counts the next one even where the current one is opaque, and then draws all of the current one anew
        whenever something in the other one changes.
        """
        stack = self._screen_stack
        return [] if stack and stack[-1].styles.background.a == 1 else super()._background_screens

    # -- theme

    def _initial_theme(self) -> str:
        """The theme chosen here last, unless the config has changed since; else the config's; else the default."""
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
            self.notify_problems(f"The theme can't be saved: {error}")

    # -- notifications

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
        show = partial(super().notify, message, title=title, severity=severity, timeout=timeout, markup=markup)
        if self._screen_stack and self._screen_stack[-1].is_modal:
            # It would cover the question.
            self._held_notices.append(show)
        else:
            show()

    def pop_screen(self) -> AwaitComplete:
        popped = super().pop_screen()
        if not self._screen_stack[-1].is_modal:
            held, self._held_notices = self._held_notices, []
            for show in held:
                show()
        return popped

    async def _shutdown(self) -> None:
        # A worker that goes on while its screen is removed would query widgets that no longer exist.
        self.workers.cancel_all()
        await super()._shutdown()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.MouseEvent) and not event.is_forwarded and self._is_on_removed_widget(event):
            return
        await super().on_event(event)

    def _is_on_removed_widget(self, event: events.MouseEvent) -> bool:
        """Whether the mouse is on a widget that is still on the screen but no longer part of it: Textual then fails."""
        if self.mouse_captured is not None:
            return False
        try:
            return is_going(self.get_widget_at(event.x, event.y)[0])
        except NoWidget:
            return False

    def refuse_to_write(self) -> None:
        """Say that this workbench changes nothing."""
        self.notify("This workbench is read-only: it shows everything and changes nothing.", severity="warning")

    # -- crashes

    def save_unsaved(self) -> None:
        """Save what would be lost in a crash."""

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        node: DOMNode = default_namespace if default_namespace is not None else self
        if isinstance(node, PaneBoundary):
            node.clear_failure()
        target, name, _ = self._parse_action(action, node, namespaces)
        if self.read_only and is_writing(target, name):
            self.refuse_to_write()
            return True
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:
            contain(node, error)
            return True

    def report_failure(self, node: DOMNode, error: Exception) -> None:
        """Show a failure in the pane of `node`, or as a notification; the report of the first one is written."""
        try:
            is_new, text = self._record_failure(node, error)
            panes = [each for each in node.ancestors_with_self if isinstance(each, FailurePane)]
            shown = bool(panes) and panes[0].show_failure(text)
        except Exception:  # A failure that can't be shown ends the app, with a report of the first error.
            self.record_crash(error)
            super()._handle_exception(error)
            return
        if is_new and not shown:
            self.notify(sanitize_label(text, 500), title="Failed", severity="error", markup=False, timeout=15)
        elif is_new:
            self.messages.add(datetime.now(UTC), "error", "Failed", text)

    def _record_failure(self, node: DOMNode, error: Exception) -> tuple[bool, str]:
        """Whether the failure is new, and what to say about it."""
        from workbench.tui.crash import describe_environment, error_place, write_report

        place = error_place(error)
        is_new = place not in self.failures
        if is_new:
            environment = describe_environment(self, ascii_only=self.options.ascii_only)
            environment["failed part"] = type(node).__name__
            folder = self.options.reports_folder
            self.failures[place] = write_report(error, environment, folder, lambda: None, announce=False)
        known = self.failures[place]
        report = f" The report is {known.path}" if known.path is not None else ""
        return is_new, f"This part has failed: {known.summary}.{report}"

    def _handle_exception(self, error: Exception) -> None:
        """Report what a worker or a widget raised; what a screen or the app itself raised ends the app.

        The crash report replaces Textual's traceback, which prints local variables and so may print tokens.
        """
        if isinstance(error, WorkerFailed):
            worker_node: DOMNode = self
            with suppress(NoActiveWorker):
                worker_node = get_current_worker().node
            contain(worker_node, cast(Exception, error.error))
            return
        # Outside of the boundaries, as when a screen is closed while its widgets are still being mounted.
        node = current_node()
        if self._exit or (node is not None and node is not self and is_going(node)):
            return
        if isinstance(node, Widget) and not isinstance(node, Screen):
            # One of Textual's own widgets, which have no boundary.
            contain(node, error)
            return
        self.record_crash(error)
        super()._handle_exception(error)

    def record_crash(self, error: Exception) -> None:
        """Save unsaved text and write a crash report; only the first crash is recorded."""
        if self.crash is None:
            from workbench.tui.crash import describe_environment, write_report

            cause = error.error if isinstance(error, WorkerFailed) else error
            environment = describe_environment(self, ascii_only=self.options.ascii_only)
            self.crash = write_report(cause, environment, self.options.reports_folder, self.save_unsaved)

    def _fatal_error(self) -> None:
        self.panic()
