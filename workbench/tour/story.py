"""The story of the tour: which stage it is in, decided by what the workbench and the project are like. Pure.

A stage is over when what it asks for is there, however that came about: by the key that the hint names, by another
one, in another terminal. Keys are not looked at. Stages whose result is there already are passed over, and a run that
fails again leads back to the correction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from workbench.client.models import Run
from workbench.tour.project import ProjectState


class Stage(StrEnum):
    """What a hint is about, in the order of the story."""

    RUNNING = "the first run"
    FAILURE = "the tests that failed"
    TESTS = "back from the tests"
    SHELL = "a shell in the failed step"
    CORRECT = "the correction"
    RESUME = "the resumed run"
    GREEN = "a run that succeeds"
    WATCH = "watching"
    SAVE = "a run after a save"
    WHY = "why a step ran again"
    END = "the end"


ORDER = tuple(Stage)
_RESULTS = (Stage.CORRECT, Stage.GREEN, Stage.SAVE)
"""What makes the stages before it pointless, as soon as it is there."""


class Place(StrEnum):
    """What the user looks at."""

    RUNS = "runs"
    RUN = "run"
    TESTS = "tests"
    EDITOR = "editor"
    QUESTION = "question"
    """The question before a run."""
    DIALOG = "dialog"
    OTHER = "other"


@dataclass(frozen=True)
class SeenRun:
    """What matters of a run. The steps are named by what became of them."""

    name: str
    number: int
    phase: str
    ended: bool = True
    watched: bool = False
    failed: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    failed_tests: int = 0
    has_workspace: bool = False
    """Whether a shell can be opened in the files of a failed step."""

    @classmethod
    def of(cls, run: Run) -> SeenRun:
        tests = [step.last_attempt.tests for step in run.steps if step.last_attempt is not None]
        return cls(
            run.name,
            run.number,
            run.phase,
            run.ended,
            run.watch,
            failed=tuple(step.name for step in run.steps if step.phase == "Failed"),
            reused=tuple(step.name for step in run.steps if step.reused is not None),
            ran=tuple(step.name for step in run.steps if step.attempts and step.reused is None),
            failed_tests=sum(counts.failed for counts in tests if counts is not None),
            has_workspace=any(step.attempt_with_workspace is not None for step in run.steps),
        )


@dataclass(frozen=True)
class Seen:
    """What the workbench and the project are like at a moment."""

    place: Place = Place.RUNS
    shown_run: str | None = None
    shown_step: str | None = None
    runs: tuple[SeenRun, ...] = ()
    """Those of the project, the newest first."""
    project: ProjectState = field(default_factory=ProjectState)
    shells: int = 0
    """How many were opened."""
    explained: int = 0
    """How often it was explained why a step ran."""
    watching: bool = False
    added: str = ""
    """The book that the tour has added last."""
    connected: bool = True

    @property
    def newest(self) -> SeenRun | None:
        return self.runs[0] if self.runs else None


@dataclass(frozen=True)
class Progress:
    """How far the story is. `failed_run` is the run whose failure it is about; 0 before there is one."""

    passed: frozenset[Stage] = frozenset()
    failed_run: int = 0
    failed_digest: str = ""
    """Of the files of that run."""
    newest_run: int = 0
    newest_digest: str = ""
    """Of the files when the newest run was seen first."""

    @property
    def stage(self) -> Stage | None:
        """The current stage; None after the last one."""
        return next((stage for stage in ORDER if stage not in self.passed), None)

    @property
    def place(self) -> str:
        """`3/11`."""
        return f"{len(self.passed) + 1}/{len(ORDER)}"

    def passing(self, stage: Stage) -> Progress:
        return replace(self, passed=self.passed | {stage})


def advance(progress: Progress, seen: Seen) -> Progress:
    """The progress after a look at the workbench and the project."""
    progress = _notice_runs(progress, seen)
    reached = [stage for stage in _RESULTS if stage not in progress.passed and _is_over(stage, progress, seen)]
    if reached:
        last = ORDER.index(reached[-1])
        progress = replace(progress, passed=progress.passed | frozenset(ORDER[: last + 1]))
    while (stage := progress.stage) is not None and _is_over(stage, progress, seen):
        progress = progress.passing(stage)
    return progress


def _notice_runs(progress: Progress, seen: Seen) -> Progress:
    newest = seen.newest
    if newest is None:
        return progress
    if newest.number > progress.newest_run:
        progress = replace(progress, newest_run=newest.number, newest_digest=seen.project.digest)
    ended = next((run for run in seen.runs if run.ended), None)
    if ended is None or ended.phase == "Succeeded" or ended.number <= progress.failed_run:
        return progress
    again = {Stage.RESUME, Stage.GREEN}
    if ended.phase != "Failed":
        # It was cancelled: nothing is known to be wrong with it.
        return replace(progress, passed=progress.passed - again, failed_run=ended.number)
    # The run after it, if there is one, is on files that were taken to be right.
    digest = progress.newest_digest if ended is newest else ""
    passed = progress.passed - again - {Stage.CORRECT}
    return replace(progress, passed=passed, failed_run=ended.number, failed_digest=digest)


def _is_over(stage: Stage, progress: Progress, seen: Seen) -> bool:
    newest = seen.newest
    match stage:
        case Stage.RUNNING:
            return any(run.ended and run.phase in ("Failed", "Succeeded") for run in seen.runs)
        case Stage.FAILURE:
            return seen.place == Place.TESTS
        case Stage.TESTS:
            return seen.place != Place.TESTS
        case Stage.SHELL:
            failed = next((run for run in seen.runs if run.number == progress.failed_run), None)
            return seen.shells > 0 or failed is None or not failed.has_workspace
        case Stage.CORRECT:
            files = seen.project
            changed = files.digest != progress.failed_digest or files.as_told
            return progress.failed_run > 0 and files.exists and not files.has_mistake and changed
        case Stage.RESUME:
            return newest is not None and 0 < progress.failed_run < newest.number
        case Stage.GREEN:
            return newest is not None and newest.phase == "Succeeded"
        case Stage.WATCH:
            return seen.watching or any(run.watched for run in seen.runs)
        case Stage.SAVE:
            return any(run.watched and run.phase == "Succeeded" and run.ran and run.reused for run in seen.runs)
        case Stage.WHY:
            return seen.explained > 0
        case Stage.END:
            return False
