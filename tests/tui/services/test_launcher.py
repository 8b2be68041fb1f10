"""Launchers: reading, linting and sending a pipeline."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tui.fakes import FakeController, hello
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

    async def ensure_source(
        self, digest: str, archive: Path, progress: Callable[[int], None] = lambda _: None, *, delta: object = None
    ) -> bool:
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


async def test_run_sends_the_tree_around_the_file(pipeline: Path) -> None:
    controller = Recorder()
    result = await FileLauncher(pipeline).launch(controller, DEFINITION)
    assert result.run.name == "hello-8"
    assert {"code.py", ".c8s.yaml"} <= set(controller.files)
    assert controller.created[0].pipeline == DEFINITION
    assert isinstance(controller.created[0].source, ArchiveSource)
    assert controller.created[0].branch == "trunk"
    assert controller.created[0].event == "push", "as `c8s run` sends it"


async def test_file_is_read_and_linted_once_per_run(pipeline: Path) -> None:
    """A second reading could find another pipeline than the one whose parameters were asked for."""
    seen: list[bytes | str] = []

    def lint(data: bytes | str) -> LintOutcome:
        seen.append(data)
        return LintOutcome((), DEFINITION)

    launcher = FileLauncher(pipeline, lint)
    for text in ("name: hello\n", "name: other\n"):
        pipeline.write_text(text)
        loaded = await launcher.load()
        assert loaded.definition is not None
        await launcher.launch(Recorder(), loaded.definition)
    assert seen == [b"name: hello\n", b"name: other\n"]


async def test_text_is_linted_in_place_of_the_file(pipeline: Path) -> None:
    seen: list[bytes | str] = []

    def lint(data: bytes | str) -> LintOutcome:
        seen.append(data)
        return LintOutcome((), None)

    await FileLauncher(pipeline, lint).load("name: unsaved\n")
    assert seen == ["name: unsaved\n"]


async def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="No such file"):
        await FileLauncher(tmp_path / ".c8s.yaml").load()


@pytest.mark.parametrize("sample", ["hello", "fan-out", "failing", "artifacts", "secrets"])
def test_samples_have_no_errors(repository: Path, sample: str) -> None:
    checked = lint_pipeline((repository / "samples" / f"{sample}.yaml").read_bytes())
    assert checked.definition is not None
    assert checked.definition["name"] == sample


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"steps: [", b"name: x\nstep: []\n", b"- 1\n"])
def test_invalid_file_has_errors(data: bytes) -> None:
    checked = lint_pipeline(data)
    assert checked.definition is None
    assert any(problem.severity == "error" for problem in checked.problems)
