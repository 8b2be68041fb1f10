"""The workbench with the tour: looks at what is there, shows the hint for it, and does what the user leaves to it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Input, TextArea

from workbench.client.errors import ClientError
from workbench.client.models import Run
from workbench.text.sanitize import sanitize_label
from workbench.tour import hints
from workbench.tour.hints import Hint, choose_hint
from workbench.tour.outcome import list_differences
from workbench.tour.project import ProjectError, ProjectState, TourProject
from workbench.tour.story import Place, Progress, Seen, SeenRun, Stage, advance
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.keys import key_label
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.services.interfaces import Connect, LaunchError, ShellCommand
from workbench.tui.tour.autoplay import Autoplay
from workbench.tui.tour.bar import BarText, TourBar
from workbench.tui.widgets.key_footer import KeyFooter

_LOOK_SECONDS = 0.2
"""Seconds between two looks at the workbench and the project."""
_LOOK_AT_ONCE = 0.02
"""The same for a tour that waits for nothing."""
_SHELL_EXAMPLE = (
    "set -x; ls; grep -n -A 3 average bookshop/prices.py; "
    "python3 -m tests prices --report report.xml 2>&1 | tail -n 4; : exit; sleep {seconds:.1f}"
)
"""What a tour that plays by itself runs in the shell."""
_SHELL_SECONDS = 3.0


@dataclass(frozen=True)
class TourOptions:
    """What the tour is about. With `pace` it plays by itself, and 1 is a pace at which hints can be read."""

    project: TourProject
    pace: float | None = None
    clock: Callable[[], float] = time.monotonic


class TourWorkbench(Workbench):
    """The workbench on the project of a tour."""

    CSS_PATH = "../app.tcss"
    # At the bottom, notifications would cover the hints.
    CSS = """
    .-with-tour ToastRack { dock: top; align: right top; margin-top: 2; }
    .-with-tour.-trouble ToastRack { margin-top: 6; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "tour_next", "Go on", show=False, id="tour.next",
                tooltip="Let the tour do what its hint is about"),
        Binding("ctrl+l", "tour_hide", "Hide", show=False, id="tour.hide",
                tooltip="Hide the hints of the tour, or show them again"),
    ]  # fmt: skip

    def __init__(
        self,
        connect: Connect,
        options: WorkbenchOptions,
        app_options: AppOptions = DEFAULT_OPTIONS,
        *,
        tour: TourOptions,
    ) -> None:
        super().__init__(connect, options, app_options)
        self._since: int | None = 0
        """The number of the first run of the tour; None until it is created."""
        if options.start_run is not None:
            self._since, self._start_run = None, partial(self._start_tour, options.start_run)
        self._first_run: str | None = None
        self._project = tour.project
        self._files: ProjectState | None = None
        self._progress = Progress()
        self._hint: Hint | None = None
        self._hidden = False
        self._shells = 0
        self._added = ""
        self._autoplay = Autoplay(tour.pace, tour.clock) if tour.pace is not None else None
        self.differences: Sequence[str] | None = None
        """What a tour that plays by itself has found to be different from what it tells; None until it has ended."""
        if self.shell is not None:
            self.shell = partial(self._count_shell, self.shell)

    @property
    def stage(self) -> Stage | None:
        """The stage of the story; None after its end."""
        return self._progress.stage

    def on_mount(self) -> None:
        at_once = self._autoplay is not None and self._autoplay.pace == 0
        self.set_interval(_LOOK_AT_ONCE if at_once else _LOOK_SECONDS, self._look)

    async def _start_tour(self, start: Callable[[], Awaitable[str]]) -> str:
        """Create the first run; earlier ones of the sandbox are not part of the tour."""
        try:
            self._first_run = await start()
        except (ClientError, LaunchError):
            self._since = 1 + max((run.number for run in self._runs_of_project()), default=0)
            raise
        return self._first_run

    def _runs_of_project(self) -> list[Run]:
        """The runs of the project, the newest first."""
        runs = [run for run in self.feed.runs.newest if run.pipeline == self._project.name]
        return sorted(runs, key=lambda run: -run.number)

    def _count_shell(self, command: ShellCommand, run: str, step: str, container: str) -> Sequence[str]:
        self._shells += 1
        opened = command(run, step, container)
        if self._autoplay is None:
            return opened
        script = _SHELL_EXAMPLE.format(seconds=_SHELL_SECONDS * self._autoplay.pace)
        return [*opened, "sh", "-c", script]

    # -- what is there

    def _look(self) -> None:
        """Find out how far the story is, and show the hint for it."""
        seen = self._see()
        self._progress = advance(self._progress, seen)
        self._hint = choose_hint(self._progress, seen)
        if self._autoplay is not None:
            self._play(self._autoplay, seen)
        self._show()

    def _see(self) -> Seen:
        screen, runs = self.screen, self._runs_of_project()
        self._files = self._project.look(self._files)
        if self._since is None and self._first_run is not None:
            self._since = next((run.number for run in runs if run.name == self._first_run), None)
        since, place = self._since, _place_of(screen)
        return Seen(
            place=place,
            # Of other screens, these are read from widgets, which may not be there yet.
            shown_run=screen.current_run if place == Place.RUN and isinstance(screen, WorkbenchScreen) else None,
            shown_step=screen.current_step if place == Place.RUN and isinstance(screen, WorkbenchScreen) else None,
            runs=tuple(SeenRun.of(run) for run in runs if since is not None and run.number >= since),
            project=self._files,
            shells=self._shells,
            explained=sum(each.count for each in self.messages.newest_first() if each.title.startswith("Why: ")),
            watching=self.is_watching,
            added=self._added,
            connected=self.feed.connection_error is None,
        )

    # -- the bar

    def _show(self) -> None:
        current = self._bar_of(self.screen)
        if current is None:
            return
        current.say(self._bar_text() if not self._hidden else None)
        for screen in self.screen_stack[:-1] if self.screen.is_modal else ():
            # One of them is enough where both can be seen.
            for bar in screen.query(TourBar):
                bar.say(None)

    def _bar_of(self, screen: Screen[object]) -> TourBar | None:
        """The bar of a screen, which gets one if there is something to say."""
        found = screen.query(TourBar)
        if found:
            return found.first()
        if self._hint is None or self._hidden or not screen.is_mounted:
            return None
        if isinstance(screen, ParamsDialog):
            bar = TourBar(docked=True)
            screen.mount(bar)
            return bar
        try:
            footer = screen.query_one(KeyFooter)
        except NoMatches:
            return None
        bar = TourBar()
        screen.add_class("-with-tour")
        screen.mount(bar, before=footer)
        return bar

    def _bar_text(self) -> BarText | None:
        if self._hint is None:
            return None
        keys = {name: key_label(self, action, default) for name, (action, default) in hints.KEYS.items()}
        text = self._hint.text.format_map(keys)
        place = self._progress.place
        if self._autoplay is not None:
            pressed = self._autoplay.pressed
            what = f"▶ {_label(pressed, keys)}" if pressed is not None else "plays by itself"
            return BarText(text, f"{place} · {what} · {keys['quit']} stops it")
        does = {hints.Finish: "ends the tour", type(None): ""}.get(type(self._hint.action), "does it for you")
        parts = [place, f"{keys['next']} {does}" if does else "", f"{keys['hide']} hides the tour"]
        return BarText(text, " · ".join(part for part in parts if part))

    def action_tour_hide(self) -> None:
        if self._progress.stage is None:
            self.notify("The tour is over.")
            return
        self._hidden = not self._hidden
        if self._hidden:
            again = key_label(self, "tour.hide", hints.KEYS["hide"][1])
            self.notify(f"{again} shows the tour again.", timeout=4)
        self._look()

    # -- what the tour does

    def action_tour_next(self) -> None:
        if self._hidden:
            self.action_tour_hide()
        elif self._hint is not None and self._hint.action is not None:
            self._perform(self._hint.action)
            self._look()
        else:
            self.bell()

    def _perform(self, action: hints.Action) -> None:
        try:
            match action:
                case hints.Press(key):
                    self._press(key)
                case hints.OpenRun(run, step):
                    self.open_run(run, step)
                case hints.Correct():
                    self._project.correct()
                case hints.AddBook():
                    self._added = self._project.add_book()
                case hints.Finish():
                    self._finish()
        except ProjectError as error:
            text = sanitize_label(str(error), 300)
            self.notify(text, title="Tour", severity="error", markup=False, timeout=10)

    def _press(self, key: str) -> None:
        """Press a key that a hint names, as the user would."""
        name, _ = hints.KEYS[key]
        found = [active for active in self.screen.active_bindings.values() if active.binding.id == name]
        if not found:
            self.bell()
            return
        if isinstance(self.focused, (Input, TextArea)):
            # It would type the letter.
            self.screen.set_focus(None)
        self.simulate_key(found[0].binding.key)

    def _finish(self) -> None:
        self._progress = Progress(frozenset(Stage))
        if self._autoplay is not None:
            self._end_play(())

    # -- playing by itself

    def _play(self, autoplay: Autoplay, seen: Seen) -> None:
        if self.differences is not None:
            return
        turn = autoplay.look(self._hint, (self._progress, seen.place, seen.runs))
        if turn.stuck:
            stage = self._progress.stage
            self._end_play((f"{stage.value if stage is not None else 'the end'} did not come",))
        elif turn.action is not None:
            self._perform(turn.action)

    def _end_play(self, problems: Sequence[str]) -> None:
        failures = [
            f"{each.title}: {each.text}" if each.title else each.text
            for each in self.messages.newest_first()
            if each.severity == "error" or "exited with code" in each.text
        ]
        self.differences = list_differences(self._see(), (*problems, *failures))
        self.exit(None, 1 if self.differences else 0)


def _place_of(screen: Screen[object]) -> Place:
    if isinstance(screen, ParamsDialog):
        return Place.QUESTION
    if screen.is_modal or not isinstance(screen, WorkbenchScreen):
        return Place.DIALOG
    known = {"runs": Place.RUNS, "run": Place.RUN, "editor": Place.EDITOR}
    # Not imported for this: the screen is opened by few.
    return Place.TESTS if type(screen).__name__ == "TestsScreen" else known.get(screen.STATE_KEY, Place.OTHER)


def _label(action: hints.Action, keys: dict[str, str]) -> str:
    """How the bar names what the tour is about to do."""
    if isinstance(action, hints.Press):
        return keys[action.key]
    return {hints.OpenRun: "Enter", hints.Finish: "the end"}.get(type(action), keys["next"])
