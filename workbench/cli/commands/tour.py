"""The tour in a terminal: a sandbox and a project of its own, which are gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from workbench.cli import demo_leftovers
from workbench.cli.output.console import InputError, echo, echo_error

if TYPE_CHECKING:
    from workbench.submit.submit import RunSubmission
    from workbench.tour.project import TourProject
    from workbench.tui.app import Workbench, WorkbenchOptions
    from workbench.tui.options import AppOptions
    from workbench.tui.services.interfaces import Connect
    from workbench.tui.startup import MakeApp
    from workbench.tui.tour.app import TourWorkbench

_SANDBOX = demo_leftovers.TOUR_SANDBOX
_STATE_ENV = "XDG_STATE_HOME"
_SAMPLE = "bookshop"


@dataclass(frozen=True)
class TourRequest:
    """What the user asks for. `pace` is None for a tour that waits for the user."""

    name: str | None = None
    """A sandbox that is kept; None: one of its own, in a temporary folder."""
    runtime: str | None = None
    folder: Path | None = None
    """Where the project is made and kept; None: in a temporary folder."""
    pace: float | None = None


@dataclass
class _Place:
    """Where the tour happens."""

    project: TourProject
    temporary: Path
    """Has the sandbox, unless the user has named one, and the project, unless the user has named a folder."""
    signals: list[int] = field(default_factory=list)
    app: TourWorkbench | None = None


def run_tour(request: TourRequest) -> int:
    """Start a sandbox, show the tour in it, and remove both; the exit code.

    Raises:
        InputError: the folder has something else in it, or the project can't be made there.
    """
    from workbench.cli.commands.workbench import open_workbench
    from workbench.cli.options import Target

    with _place(request) as place:
        target = Target(request.name or _SANDBOX, runtime=request.runtime)
        first_run, make_app = _FirstRun(place.project), _app_maker(place, request.pace)
        code = open_workbench(target, place.project.pipeline, first_run, make_app=make_app)
        if place.app is None or request.pace is None:
            return code
        return _report_play(place.app, code)


def _report_play(app: TourWorkbench, code: int) -> int:
    """Say how a tour went that played by itself; its exit code."""
    if app.crash is not None:
        return code
    if app.differences is None:
        stage = f" at {app.stage.value}" if app.stage is not None else ""
        echo_error(f"the tour was left{stage}, before its end")
        return 1
    for difference in app.differences:
        echo_error(f"not as the tour tells it: {difference}")
    if not app.differences:
        echo("the tour went as it tells it")
    return 1 if app.differences else 0


class _FirstRun:
    """What is to run first. It is prepared once, in another thread, while the sandbox starts."""

    def __init__(self, project: TourProject) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._submission: RunSubmission | None = None

    def __call__(self) -> RunSubmission:
        with self._lock:
            if self._submission is None:
                self._submission = self._prepare()
            return self._submission

    def _prepare(self) -> RunSubmission:
        import workbench.tui.tour.app  # noqa: F401 - loaded for later
        from workbench.client.run_request import RunRequest
        from workbench.pipeline_file.load import lint_pipeline, read_bytes
        from workbench.submit.submit import RunSubmission, new_idempotency_key
        from workbench.submit.worktree import tree_root

        self._project.commit()
        pipeline = self._project.pipeline
        definition = lint_pipeline(read_bytes(pipeline)).definition
        if definition is None:
            raise ValueError(f"{pipeline} has errors; `c8s lint` in {pipeline.parent} lists them")
        tree = tree_root(pipeline, pipeline.parent)
        return RunSubmission(RunRequest(definition, event="push"), new_idempotency_key(), tree=tree, file=pipeline)


def _app_maker(place: _Place, pace: float | None) -> MakeApp:
    def make(connect: Connect, options: WorkbenchOptions, app_options: AppOptions) -> Workbench:
        from workbench.tui.tour.app import TourOptions, TourWorkbench

        place.app = TourWorkbench(connect, options, app_options, tour=TourOptions(place.project, pace))
        return place.app

    return make


@contextmanager
def _place(request: TourRequest) -> Iterator[_Place]:
    """A place for the tour, which is the current folder meanwhile. Whatever ends the tour, it is removed."""
    from workbench.cli.commands.pipelines.samples import find_sample
    from workbench.tour.project import ProjectError, TourProject

    before, environment = Path.cwd(), {name: os.environ.get(name) for name in (_STATE_ENV, "PATH")}
    temporary = Path(tempfile.mkdtemp(prefix=demo_leftovers.PREFIX))
    folder = request.folder.absolute() if request.folder is not None else temporary / _SAMPLE
    place = _Place(TourProject(folder, find_sample(_SAMPLE).path), temporary)
    sweep = demo_leftovers.LeftoverSweep(place.project.sample)
    with _signals_as_interrupts(place.signals), demo_leftovers.claimed(temporary):
        sweep.start()
        try:
            if not place.project.is_made():
                place.project.create(_free_port())
            if request.name is None:
                os.environ[_STATE_ENV] = str(temporary / "state")
            if shutil.which("python3") is None:
                # The project is in Python, which runs this as well.
                os.environ["PATH"] = os.pathsep.join(
                    (os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent))
                )
            os.chdir(folder)
            yield place
            if place.signals:
                # The screen took it as Ctrl-C.
                raise SystemExit(128 + place.signals[0])
        except ProjectError as error:
            raise InputError(str(error)) from error
        except KeyboardInterrupt:
            if place.signals:
                raise SystemExit(128 + place.signals[0]) from None
            raise
        finally:
            _clean_up(request, place)
            for note in sweep.finish():
                echo_error(note)
            os.chdir(before)
            for variable, value in environment.items():
                os.environ.pop(variable, None)
                if value is not None:
                    os.environ[variable] = value


def _clean_up(request: TourRequest, place: _Place) -> None:
    """Stop the sandbox, remove what is temporary, and say what is left and how to come back."""
    if request.name is None:
        # Were it interrupted, the sandbox would end by itself once its folder is gone.
        with suppress(KeyboardInterrupt):
            _delete_sandbox()
    kept = place.temporary if place.app is not None and place.app.crash is not None else None
    if request.folder is None and kept is None and _has_own_changes(place.project):
        kept = place.project.folder
        shutil.rmtree(place.temporary / "state", ignore_errors=True)
    elif kept is None:
        shutil.rmtree(place.temporary, ignore_errors=True)
    if kept is not None:
        demo_leftovers.keep(place.temporary)
    if place.app is not None and request.pace is None:
        _say_how_to_come_back(request, place, kept)


def _delete_sandbox() -> None:
    from workbench.cli.options import run_async
    from workbench.sandbox import SandboxError, Sandboxes

    try:
        run_async(Sandboxes().down(_SANDBOX, delete=True))
    except (SandboxError, OSError) as error:
        echo_error(str(error))


def _has_own_changes(project: TourProject) -> bool:
    try:
        return bool(project.own_changes())
    except OSError:
        return False


def _say_how_to_come_back(request: TourRequest, place: _Place, kept: Path | None) -> None:
    named = f" --name {request.name}" if request.name is not None else ""
    if request.folder is not None:
        echo_error(f"the project is in {place.project.folder}: `c8s{named}` opens the workbench there")
    elif kept is not None:
        why = "you have changed files" if kept == place.project.folder else "it has the report of the crash"
        echo_error(f"{kept} is kept: {why}")
    again = f"c8s demo{named}{f' --folder {request.folder}' if request.folder is not None else ''}"
    echo_error(f"`{again}` starts the tour again, `c8s init` is for a project of your own")


@contextmanager
def _signals_as_interrupts(received: list[int]) -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C within the block, so that nothing is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.raise_signal(signal.SIGINT)

    handled = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    if handled[signal.SIGINT] is signal.SIG_IGN:
        # As in the background of a script: the others would have no effect either.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, interrupt)
    try:
        yield
    finally:
        for sign, handler in handled.items():
            signal.signal(sign, handler)


def _free_port() -> int:
    """A port of this machine that nobody uses now, for the service of the project."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
