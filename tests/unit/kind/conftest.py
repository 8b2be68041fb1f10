"""Fakes of programs: as processes that replay recordings, and as a CommandRunner."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kind.tools.process import CommandResult, OnLine

Plays = Callable[..., Path]


@pytest.fixture
def plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plays:
    """Put a `kind` and a `docker` on PATH that replay these recordings and fail for anything else."""
    here = Path(__file__).parent

    def install(*names: str, pace: float = 0.0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for program in ("kind", "docker"):
            file = folder / program
            file.write_text(f"#!{sys.executable} -IS\n" + (here / "fake_program.py").read_text())
            file.chmod(0o755)
        for name, value in {
            "PATH": str(folder),
            "RECORDED": str(here / "recorded.json"),
            "PLAYED": str(tmp_path / "played"),
            "PLAYS": ",".join(names),
            "PACE": str(pace),
        }.items():
            monkeypatch.setenv(name, value)
        return tmp_path / "played"

    return install


@dataclass
class Programs:
    """Exit codes and outputs by the beginning of a command, the longest first. Unknown commands fail the test."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, command: Sequence[str], *, on_line: OnLine | None = None, **_: Any) -> CommandResult:
        text = " ".join(command)
        self.asked.append(text)
        known = [each for each in self.answers if text.startswith(each)]
        assert known, f"unexpected command: {text}"
        code, output = self.answers[max(known, key=len)]
        lines = [("err" if code else "out", line) for line in output.splitlines()]
        for _, line in lines:
            if on_line is not None:
                on_line(line)
        return CommandResult(tuple(command), code, tuple(lines))  # type: ignore[arg-type]


@pytest.fixture
def programs() -> Programs:
    return Programs()
