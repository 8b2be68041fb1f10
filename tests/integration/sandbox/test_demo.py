"""`c8s demo` in a terminal: the tour plays, and whatever ends it leaves nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live import C8s
from tests.support.terminal import Terminal, terminal
from tests.support.waiting import LONGEST, wait_until


@pytest.fixture
def demo(tmp_path: Path) -> C8s:
    """The command of a user whose temporary files are in a folder of their own."""
    home = tmp_path / "user"
    (home / "tmp").mkdir(parents=True)
    return C8s(home, {"TMPDIR": str(home / "tmp")})


def assert_nothing_is_left(demo: C8s) -> None:
    wait_until(lambda: not demo.processes(), what=lambda: f"no process is left: {demo.processes()}")
    assert [path for path in demo.home.rglob("*") if path != demo.home / "tmp"] == []


def test_tour_that_plays_by_itself_goes_as_it_tells(demo: C8s, tmp_path: Path) -> None:
    with terminal(demo, "demo", "--auto", "--pace", "0", cwd=tmp_path) as tour:
        tour.read_until(b"The sandbox is being started.")
        # It consists of three runs and a shell. At this pace, not each of its steps is drawn.
        tour.read_until(None, 2 * LONGEST)
    end = tour.written.rpartition(b"\x1b[?1049l")[2].decode()
    assert "the tour went as it tells it" in end, end
    assert tour.process.returncode == 0
    assert_nothing_is_left(demo)


def end_by_key(tour: Terminal) -> None:
    tour.type("\x03")


def end_by_signal(tour: Terminal) -> None:
    tour.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("text", "end", "code"),
    [(b"Start its processes", end_by_key, 130), (b"plays by itself", end_by_signal, 143)],
)
def test_demo_that_is_interrupted_leaves_nothing(
    demo: C8s, tmp_path: Path, text: bytes, end: Callable[[Terminal], None], code: int
) -> None:
    with terminal(demo, "demo", "--auto", cwd=tmp_path) as tour:
        tour.read_until(text)
        end(tour)
        tour.read_until(None)
    assert b"Traceback" not in tour.written
    assert tour.process.returncode == code
    assert_nothing_is_left(demo)


def test_what_a_killed_demo_leaves_is_removed_by_the_next_one(demo: C8s, tmp_path: Path) -> None:
    with terminal(demo, "demo", cwd=tmp_path) as tour:
        tour.read_until(b"Start its processes")
        tour.process.kill()
        tour.read_until(None)
    assert list((demo.home / "tmp").iterdir()), "it had no time to clean up"
    with terminal(demo, "demo", cwd=tmp_path) as tour:
        tour.read_until(b"Start its processes")
        tour.type("\x03")
        tour.read_until(None)
    assert_nothing_is_left(demo)


def test_folder_with_other_files_is_left_alone(demo: C8s, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with terminal(demo, "demo", "--folder", str(tmp_path), cwd=tmp_path) as tour:
        tour.read_until(None)
    assert b"is not empty; name a new folder" in tour.written
    assert tour.process.returncode == 2
    assert not (tmp_path / ".c8s.yaml").exists()


def test_start_that_fails_is_explained_on_the_screen_and_after_it(demo: C8s, tmp_path: Path) -> None:
    folder = demo.home / "state" / "c8s" / "shown"
    folder.mkdir(parents=True)
    (folder / "start.lock").touch()
    (folder / "state-version").write_text("999\n")
    with terminal(demo, "--name", "shown", cwd=tmp_path) as workbench:
        workbench.read_until(b"Enter tries again from here.")
        workbench.type("q")
        workbench.read_until(None)
    assert workbench.process.returncode == 1
    assert b"Traceback" not in workbench.written
    assert b"c8s: " in workbench.written.rpartition(b"\x1b[?1049l")[2]
