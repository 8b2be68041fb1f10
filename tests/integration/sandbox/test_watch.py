"""`c8s run --watch` as a person uses it: saves, errors while typing, outdated runs, Ctrl-C, a sandbox that ends."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.integration.sandbox.test_inputs import FLOW
from tests.live import C8s
from tests.support.tools import are_tools_required
from tests.support.waiting import LONGEST, wait_until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("watchfiles") is None and not are_tools_required(), reason="watchfiles is not installed"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    for name in ("src/app.txt", "docs/index.md", "tests/check.txt"):
        file = tmp_path / name
        file.parent.mkdir()
        file.write_text(f"{name} 1\n")
    return tmp_path


class Watching:
    """A running `c8s run --watch`; its output is collected."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, pattern: str) -> str:
        """The first text that matches, in output that was not waited for before."""
        found = wait_until(lambda: re.search(pattern, self.text), what=lambda: f"{pattern!r} in {self.text}")
        del self.lines[: self.text[: found.end()].count("\n")]
        return found.group()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(LONGEST)
        self.close()
        return code

    def close(self) -> None:
        """Wait until all output of the process that ends is read."""
        self._reader.join(LONGEST)


@contextmanager
def watching(c8s: C8s, folder: Path, *more: str) -> Iterator[Watching]:
    with c8s.start("run", "--watch", *more, cwd=folder) as process:
        watched = Watching(process)
        try:
            yield watched
        finally:
            process.kill()
            watched.close()


def save(folder: Path, name: str, text: str) -> None:
    """Replace a file in one step, as editors do: otherwise, a pause of the machine amid it makes two changes of one."""
    new = folder.parent / f"{folder.name}.new"
    new.write_text(text)
    new.replace(folder / name)


def has_spare(c8s: C8s, pipeline: str) -> bool:
    """Whether the sandbox has a spare copy of a source with this pipeline."""
    for path in (c8s.home / "state/c8s/default/sources").glob("*.spare/tree/.c8s.yaml"):
        # It may be replaced meanwhile.
        with suppress(OSError):
            if path.read_text() == pipeline:
                return True
    return False


def test_only_what_changed_runs_after_a_save(c8s: C8s, folder: Path) -> None:
    save(folder, ".c8s.yaml", FLOW.format(name="saved"))
    with watching(c8s, folder) as watched:
        watched.wait_for(r"run saved-1 succeeded.*3 steps")
        save(folder, "docs/index.md", "second\n")
        watched.wait_for(r"run saved-2: docs/index.md changed")
        watched.wait_for(r"docs +\| second")
        watched.wait_for(r"2 of 3 reused.*, 1 ran")
        watched.wait_for(r"run saved-2 succeeded")
        save(folder, ".c8s.yaml", FLOW.format(name="saved").replace("image:", "imag:", 1))
        watched.wait_for(r"did you mean `image`\?")
        watched.wait_for(r"nothing was started; run saved-2 stays")
        save(folder, ".c8s.yaml", FLOW.format(name="saved"))
        watched.wait_for(r"as in run saved-2 again")
        assert "watches this pipeline already" in c8s("run", "--watch", cwd=folder, expect=2).stderr
        assert watched.interrupt() == 130
        assert "stopped watching after 2 runs; the last one, saved-2, succeeded" in watched.text
    assert "saved-" not in c8s("runs").stdout
    assert "saved-2" in c8s("runs", "--watched").stdout


def test_outdated_run_is_cancelled_and_ctrl_c_cancels_the_last(c8s: C8s, folder: Path) -> None:
    go = folder.parent / f"{folder.name}-go"
    wait = f'"cat built; until [ -e {go} ]; do sleep 0.1; done"'
    text = FLOW.format(name="outdated").replace("cat built tests/check.txt", wait)
    (folder / ".c8s.yaml").write_text(text)
    for number in range(70):
        (folder / f"{number}.txt").write_text(f"{number}\n" * number)
    with watching(c8s, folder) as watched:
        watched.wait_for(r"test +\| src/app.txt 1")
        wait_until(lambda: has_spare(c8s, text), what="a spare copy of the source")
        save(folder, "src/app.txt", "second\n")
        watched.wait_for(r"run outdated-1 is outdated and was cancelled")
        watched.wait_for(r"run outdated-2: src/app.txt changed")
        watched.wait_for(r"test +\| second")
        assert watched.interrupt() == 130
        watched.wait_for(r"run outdated-2 cancelled")
        watched.wait_for(r"stopped watching after 2 runs; the last one, outdated-2, was cancelled")
    shown = c8s("runs", "--watched", "--pipeline", "outdated").stdout
    assert re.findall(r"outdated-\d +(\w+)", shown) == ["Cancelled", "Cancelled"]
    agent = c8s("logs", "outdated-2", "build", "--container", "agent").stdout
    assert "a spare copy of an earlier one with 1 of 74 files changed" in agent


def test_branch_switch_is_one_run_with_the_results_of_the_other_branch(c8s: C8s, folder: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=folder, check=True)

    (folder / ".c8s.yaml").write_text(FLOW.format(name="switched"))
    git("add", "-A")
    git("commit", "-qm", "one")
    with watching(c8s, folder) as watched:
        watched.wait_for(r"run switched-1 succeeded")
        git("checkout", "-qb", "other")
        for number in range(500):
            (folder / "src" / f"f{number}.txt").write_text("1\n")
        watched.wait_for(r"run switched-\d: .*src/f\d+.txt.* changed")
        watched.wait_for(r"run switched-\d succeeded")
        git("add", "-A")
        git("commit", "-qm", "two")
        git("checkout", "-q", "main")
        watched.wait_for(r"3 of 3 reused.*, 0 ran")
        assert watched.interrupt() == 130


def test_sandbox_that_was_stopped_is_started_for_the_next_save(fresh: C8s, folder: Path) -> None:
    (folder / ".c8s.yaml").write_text(FLOW.format(name="stopped"))
    fresh("up")
    with watching(fresh, folder) as watched:
        watched.wait_for(r"run stopped-1 succeeded")
        fresh("down")
        save(folder, "docs/index.md", "second\n")
        watched.wait_for(r"docs +\| second")
        watched.wait_for(r"2 of 3 reused.*, 1 ran")
        assert watched.interrupt() == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--git", "https://example.org/x.git"), "--watch and --git exclude each other"),
        (("--resume", "x-1"), "--watch and --resume exclude each other"),
        (("--no-reuse",), "--no-reuse excludes it"),
        (("-",), "--watch needs a pipeline in a file"),
    ],
)
def test_options_that_make_no_sense_with_watch(c8s: C8s, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / ".c8s.yaml").write_text(FLOW.format(name="senseless"))
    result = c8s("run", "--watch", *arguments, cwd=folder, expect=2, stdin=FLOW.format(name="senseless"))
    assert words in result.stderr
