"""A live sandbox for tests: the real program in processes of its own, on a state folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT = 200.0
"""Seconds. On a busy machine some commands, the tour for example, take twenty times as long as on a quiet one."""


@dataclass(frozen=True)
class C8s:
    """The `c8s` command on its own state folder, without a terminal."""

    home: Path
    more: Mapping[str, str] = field(default_factory=dict)
    """Variables of its environment."""

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("C8S_", "XDG_"))}
        xdg = {f"XDG_{kind}_HOME": str(self.home / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE", "DATA")}
        # What a test finds must not depend on whether this machine has a container engine.
        return inherited | xdg | {"C8S_RUNTIME": "process", **self.more} | dict(more or {})

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "workbench", *arguments]

    def __call__(
        self, *arguments: str, cwd: Path | None = None, stdin: str | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run it; fails the test if the exit code is not `expect` (None: any)."""
        result = subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.home,
            env=self.environment(),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        if expect is not None:
            assert result.returncode == expect, (
                f"c8s {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start it and return at once; stdout and stderr are one pipe."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=cwd or self.home,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self) -> list[str]:
        """The command lines of all processes of this state folder, including steps."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if str(self.home) in line or str(self.home).encode() in environment:
                found.append(f"{folder.name} {line}")
        own = {str(os.getpid()), str(os.getppid())}
        return [entry for entry in found if entry.split()[0] not in own]


def parse_step_table(text: str) -> dict[str, str]:
    """The summary table of `c8s run`: status by step."""
    rows: dict[str, str] = {}
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("STEP "))
    status_at = lines[start].index("STATUS")
    for line in lines[start + 1 :]:
        if not line.strip():
            break
        rows[line[:status_at].strip()] = line[status_at:].split()[0]
    return rows


def run_name(text: str) -> str:
    """The name of the run in the output of `c8s run`."""
    return next(line.split()[1] for line in text.splitlines() if line.startswith("run "))


def write_pipeline(folder: Path, steps: Sequence[str], name: str = "mine") -> Path:
    """A `.c8s.yaml` whose steps are given as YAML flow mappings."""
    path = folder / ".c8s.yaml"
    path.write_text("version: v1alpha1\nname: " + name + "\nsteps:\n" + "".join(f"  - {step}\n" for step in steps))
    return path
