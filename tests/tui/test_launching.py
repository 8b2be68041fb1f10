"""Pressing `r` sends the tree around the file, and nothing when the file is wrong."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.pipeline.diagnostics import Diagnostic
from tests.tui.fakes import FakeController, hello
from workbench.client import Run
from workbench.client.run_request import ArchiveSource, RunRequest
from workbench.pipeline_file.load import LintOutcome, lint_pipeline
from workbench.tui.services.interfaces import LaunchError
from workbench.tui.services.launcher import FileLauncher

DEFINITION = {"version": "v1alpha1", "name": "hello", "steps": []}


class Recorder(FakeController):
    """Remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []
        self.created: list[RunRequest] = []

    async def ensure_source(self, digest: str, archive: Path, progress: Callable[[int], None] = lambda _: None) -> bool:
        with tarfile.open(archive) as tar:
            self.files = tar.getnames()
        return True

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Run:
        self.created.append(request)
        return hello(8, "Running")


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(tmp_path)], check=True)
    (tmp_path / "code.py").write_text("print(1)\n")
    path = tmp_path / ".c8s.yaml"
    path.write_text("name: hello\n")
    return path


async def test_a_good_file_is_run_on_the_tree_around_it(pipeline: Path) -> None:
    controller = Recorder()
    launched = await FileLauncher(pipeline, lambda _: LintOutcome((), DEFINITION)).launch(controller)
    assert launched.run is not None
    assert {"code.py", ".c8s.yaml"} <= set(controller.files)
    assert controller.created[0].pipeline == DEFINITION
    assert isinstance(controller.created[0].source, ArchiveSource)
    assert controller.created[0].branch == "trunk"
    assert controller.created[0].event == "push", "what `c8s run` sends"


async def test_the_file_is_read_anew_each_time(pipeline: Path) -> None:
    seen: list[bytes | str] = []

    def check(data: bytes | str) -> LintOutcome:
        seen.append(data)
        return LintOutcome((), None)

    launcher = FileLauncher(pipeline, check)
    await launcher.launch(Recorder())
    pipeline.write_text("name: other\n")
    await launcher.launch(Recorder())
    assert seen == [b"name: hello\n", b"name: other\n"]


async def test_a_bad_file_starts_nothing_and_says_why(pipeline: Path) -> None:
    problem = Diagnostic(1, 1, "", "error", "no-steps", "no steps")
    controller = Recorder()
    launched = await FileLauncher(pipeline, lambda _: LintOutcome((problem,), None)).launch(controller)
    assert launched.run is None
    assert launched.problems == (problem,)
    assert not controller.files
    assert not controller.created


async def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="No such file"):
        await FileLauncher(tmp_path / ".c8s.yaml", lambda _: LintOutcome((), DEFINITION)).launch(Recorder())


@pytest.mark.parametrize("sample", ["hello", "fan-out", "failing", "artifacts", "secrets"])
def test_the_samples_are_good(repository: Path, sample: str) -> None:
    checked = lint_pipeline((repository / "samples" / f"{sample}.yaml").read_bytes())
    assert checked.definition is not None
    assert checked.definition["name"] == sample


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"steps: [", b"name: x\nstep: []\n", b"- 1\n"])
def test_a_bad_file_has_findings_and_no_definition(data: bytes) -> None:
    checked = lint_pipeline(data)
    assert checked.definition is None
    assert any(problem.severity == "error" for problem in checked.problems)
