"""What the tour says at each stage, and what it can do in place of the user. Pure.

Keys are between backticks; `{name}` is the key of an action, as the user has configured it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.text.sanitize import sanitize_label
from workbench.tour.project import BOOKS, PRICES
from workbench.tour.story import Place, Progress, Seen, SeenRun, Stage

_MAX_NAME = 40


@dataclass(frozen=True)
class Press:
    """Press a key, by its name in `KEYS`."""

    key: str


@dataclass(frozen=True)
class OpenRun:
    """Show a run, with a step selected."""

    run: str
    step: str | None = None


@dataclass(frozen=True)
class Correct:
    """Correct the mistake in the project."""


@dataclass(frozen=True)
class AddBook:
    """Change a file of the project."""


@dataclass(frozen=True)
class Finish:
    """End the tour."""


Action = Press | OpenRun | Correct | AddBook | Finish

KEYS: Mapping[str, tuple[str, str]] = {
    "tests": ("run.tests", "T"),
    "back": ("tests.back", "Esc"),
    "shell": ("run.shell", "S"),
    "source": ("run.open-source", "o"),
    "resume": ("run.resume", "M"),
    "start": ("params.run", "Ctrl+R"),
    "run": ("app.run", "r"),
    "watch": ("app.watch", "W"),
    "why": ("run.card", "I"),
    "edit": ("app.edit", "e"),
    "help": ("app.help", "?"),
    "quit": ("app.quit", "q"),
    "next": ("tour.next", "Ctrl+T"),
    "hide": ("tour.hide", "Ctrl+L"),
}
"""The keys that hints name: action and default label."""


@dataclass(frozen=True)
class Hint:
    """What is said. `action` is what the tour can do itself; None where there is only something to wait for."""

    text: str
    action: Action | None = None


def choose_hint(progress: Progress, seen: Seen) -> Hint | None:
    """The hint for this moment; None when the tour is over, or where it would be in the way."""
    stage = progress.stage
    if stage is None or seen.place == Place.DIALOG:
        return None
    if not seen.project.exists:
        return Hint("The project is gone, so the tour ends here. `{quit}` leaves; `c8s demo` starts it anew.", Finish())
    if not seen.connected:
        return Hint("The sandbox does not answer. The tour goes on when it does: see above.")
    if seen.place == Place.QUESTION:
        return Hint("This says which steps run again and why; others are reused. `{start}` starts it.", Press("start"))
    if not seen.runs and stage != Stage.RUNNING:
        return Hint("There is no run of the project any more. `{run}` starts one.", Press("run"))
    return _away(stage, seen) or _HINTS[stage](progress, seen)


def _away(stage: Stage, seen: Seen) -> Hint | None:
    """How to get to where the stage goes on, if the user is elsewhere."""
    run = _run_of(stage, seen)
    if stage in (Stage.CORRECT, Stage.SAVE, Stage.END) or (stage == Stage.TESTS and seen.place == Place.TESTS):
        return None
    if seen.place == Place.RUN and (run is None or stage == Stage.WATCH or seen.shown_run == run.name):
        return None
    if run is None or (seen.place == Place.RUNS and stage in (Stage.RUNNING, Stage.WATCH)):
        return None
    open_run = OpenRun(run.name, _step_of(stage, run))
    if seen.place == Place.RUNS:
        return Hint(f"The tour goes on in {_name(run.name)}: `Enter` opens the run under the cursor.", open_run)
    return Hint(f"`Esc` goes back. The tour goes on in {_name(run.name)}.", open_run)


def _name(text: str) -> str:
    """A name within a hint, where braces and backticks have a meaning."""
    return sanitize_label(text, _MAX_NAME).replace("`", "'").replace("{", "{{").replace("}", "}}")


def _run_of(stage: Stage, seen: Seen) -> SeenRun | None:
    """The run that a stage is about."""
    if stage in (Stage.FAILURE, Stage.TESTS, Stage.SHELL, Stage.RESUME):
        failed = [run for run in seen.runs if run.phase == "Failed"]
        return failed[0] if failed else seen.newest
    if stage == Stage.WHY:
        watched = [run for run in seen.runs if run.watched and run.ran]
        return watched[0] if watched else seen.newest
    return seen.newest


def _step_of(stage: Stage, run: SeenRun) -> str | None:
    if stage == Stage.WHY:
        return run.ran[0] if run.ran else None
    return run.failed[0] if run.failed else None


def _running(progress: Progress, seen: Seen) -> Hint:
    newest = seen.newest
    if newest is None:
        return Hint("The first run is being created. The tour is about a small bookshop in plain Python.")
    if newest.ended:
        return Hint("The run was cancelled. `{run}` starts the pipeline again.", Press("run"))
    return Hint(
        "This is a real run, on this machine: the tests of a small bookshop, in parallel, one with a website as a "
        "service. Wait for its end."
    )


def _failure(progress: Progress, seen: Seen) -> Hint:
    run = _run_of(Stage.FAILURE, seen)
    step = _name(run.failed[0]) if run is not None and run.failed else "A step"
    return Hint(
        f"{step} failed: its log is open at the line that says why. `{{tests}}` shows which of its tests failed.",
        Press("tests"),
    )


def _tests(progress: Progress, seen: Seen) -> Hint:
    return Hint(
        "The failed test comes first, with its output and history. `{back}` goes back to the run.", Press("back")
    )


def _shell(progress: Progress, seen: Seen) -> Hint:
    run = _run_of(Stage.SHELL, seen)
    if run is not None and run.failed and seen.shown_step not in run.failed:
        return Hint(
            f"Select the step that failed, {_name(run.failed[0])}, with the arrow keys: there is a shell for it.",
            OpenRun(run.name, run.failed[0]),
        )
    return Hint(
        f"`{{shell}}` opens a shell in the files of the failed step as it left them. See {PRICES}; `exit` comes back.",
        Press("shell"),
    )


def _correct(progress: Progress, seen: Seen) -> Hint:
    if not seen.project.has_mistake:
        return Hint(
            "Another change makes it fail: see the log. `{next}` puts the files of the tour right; or do it yourself.",
            Correct(),
        )
    return Hint(
        f"The mistake: {PRICES} divides by the number of prices, which may be 0. `{{next}}` corrects it; "
        "`{source}` on the failed step opens it in $EDITOR.",
        Correct(),
    )


def _resume(progress: Progress, seen: Seen) -> Hint:
    if seen.watching and seen.project.digest != progress.failed_digest:
        return Hint("Corrected. A run for that begins in a moment.")
    return Hint(
        "Now `{resume}` resumes: it runs what failed or has changed, and takes over the rest from this run.",
        Press("resume"),
    )


def _green(progress: Progress, seen: Seen) -> Hint:
    return Hint("Only what failed, has changed or follows runs again. The heading counts what is reused.")


def _watch(progress: Progress, seen: Seen) -> Hint:
    if seen.place == Place.EDITOR:
        return Hint("Green. The tour goes on outside of the editor: `Esc`.", OpenRun(seen.runs[0].name))
    return Hint("Green. Now let each save start a run: `{watch}` watches the files of the project.", Press("watch"))


def _save(progress: Progress, seen: Seen) -> Hint:
    if not seen.watching:
        return Hint("Nobody watches the files now. `{watch}` starts that again.", Press("watch"))
    changed = [run for run in seen.runs if run.watched and run.ran]
    if changed and not changed[0].ended:
        return Hint("Only what reads the list of books runs again, and what follows. The tests are reused.")
    if seen.added:
        return Hint(f"{_name(seen.added)} is in {BOOKS} now. A run for that begins in a moment.")
    return Hint(
        f"Everything is as it was, so all is reused. `{{next}}` adds a book to {BOOKS}; or change that yourself.",
        AddBook(),
    )


def _why(progress: Progress, seen: Seen) -> Hint:
    return Hint(
        "Only what reads that file ran again, and what follows. `{why}` on a step says why it did, or did not.",
        Press("why"),
    )


def _end(progress: Progress, seen: Seen) -> Hint:
    return Hint(
        "That was the tour; the workbench stays. `{edit}` edits the pipeline, `{help}` lists all keys, `{quit}` leaves."
        " `c8s init` is for your own project.",
        Finish(),
    )


_HINTS = {
    Stage.RUNNING: _running,
    Stage.FAILURE: _failure,
    Stage.TESTS: _tests,
    Stage.SHELL: _shell,
    Stage.CORRECT: _correct,
    Stage.RESUME: _resume,
    Stage.GREEN: _green,
    Stage.WATCH: _watch,
    Stage.SAVE: _save,
    Stage.WHY: _why,
    Stage.END: _end,
}
