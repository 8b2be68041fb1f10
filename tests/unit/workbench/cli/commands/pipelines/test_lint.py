"""`c8s lint`, `c8s schema`, and `c8s run` with invalid files, without a controller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli.main import main

GOOD = "version: v1alpha1\nname: x\nsteps:\n- {name: a, image: 'busybox:1', commands: [echo]}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_valid_file_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".c8s.yaml").write_text(GOOD)
    assert main(["lint", "--event", "tag"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == ".c8s.yaml: no problems"


def test_file_name_with_a_newline_stays_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\nb.yaml").write_text(GOOD)
    assert main(["lint", "a\nb.yaml"]) == 0
    assert capsys.readouterr().out == "a␊b.yaml: no problems\n"


def test_event_option_explains_the_trigger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".c8s.yaml").write_text(GOOD + "branches: [main]\n")
    assert main(["lint", "--event", "push", "--branch", "feature/x"]) == 0
    assert "push on feature/x: would not run, the branch" in capsys.readouterr().out


def test_diagnostics_can_be_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(GOOD.replace("commands", "comands"))
    assert main(["lint", "p.yaml", "-o", "json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert {(problem["file"], problem["line"]) for problem in found} == {("p.yaml", 4)}


@pytest.mark.parametrize("command", ["lint", "run"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[",
        b"\xff\xfe",
        b"a: &a [*a]",
        b"a: 1\na: 2",
        b"\tx: 1",
        b"x" * 11_000_000,
        b"steps: [{name: \x1b[2J}]",
        GOOD.replace("image", "imag").encode(),
        GOOD.replace("}", ", dependsOn: [a]}").encode(),
    ],
    ids=range(10),
)
def test_invalid_file_exits_2_without_a_traceback(
    command: str, data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_bytes(data)
    assert main([command, "bad.yaml"]) == 2
    captured = capsys.readouterr()
    assert "bad.yaml" in captured.out + captured.err
    assert "\x1b" not in captured.out + captured.err


@pytest.mark.parametrize("arguments", [[], ["nowhere.yaml"], ["folder"]])
@pytest.mark.parametrize("command", ["lint", "run"])
def test_missing_file_exits_2(
    command: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert main([command, *arguments]) == 2
    assert capsys.readouterr().err.startswith("c8s: error: ")


def test_endless_file_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "/dev/zero"]) == 2


def test_invalid_parameter_exits_2_before_any_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".c8s.yaml").write_text(GOOD + "params: [{name: target, options: [dev, prod]}]\n")
    assert main(["run", "--param", "target=moon"]) == 2
    assert main(["run", "--param", "taret=dev"]) == 2
    assert main(["run", "--param", "dev"]) == 2
    captured = capsys.readouterr()
    assert "it can be dev, prod" in captured.err
    assert "did you mean `target`?" in captured.err
    assert captured.out == ""


def test_standard_input_can_be_linted() -> None:
    command = [sys.executable, "-m", "workbench", "lint", "-"]
    done = subprocess.run(command, input=GOOD, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "<stdin>: no problems\n")


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["steps"]
