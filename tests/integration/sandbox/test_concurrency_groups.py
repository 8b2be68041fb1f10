"""Runs of one concurrency group wait for each other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import C8s
from tests.support.waiting import LONGEST, wait_until

FLOW = """\
version: v1alpha1
name: {name}
concurrency: {{group: "to-{{{{params.target}}}}", policy: {policy}}}
params: [{{name: target, default: dev}}]
steps:
  - name: deploy
    image: busybox:1.36
    commands:
      - echo "$C8S_RUN begins" >> {journal}
      - until test -e {go}; do sleep 0.05; done
      - echo "$C8S_RUN ends" >> {journal}
"""


class Deploys:
    """Runs of one pipeline, each waiting for `go`."""

    def __init__(self, c8s: C8s, folder: Path, name: str, policy: str) -> None:
        self.c8s, self.name = c8s, name
        self.journal, self.go = folder / "journal", folder / "go"
        self.file = folder / f"{name}.yaml"
        self.file.write_text(FLOW.format(name=name, policy=policy, journal=self.journal, go=self.go))

    @contextmanager
    def start(self, *more: str) -> Iterator[subprocess.Popen[str]]:
        with self.c8s.start("run", str(self.file), "--no-source", *more) as running:
            try:
                yield running
            finally:
                self.go.write_text("")

    def status_of(self, number: int) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.c8s("runs", "--pipeline", self.name, "-o", "json").stdout)
        return next((run["status"] for run in found if run["name"] == f"{self.name}-{number}"), {"phase": None})

    def waits_for(self, number: int, phase: str) -> Callable[[], bool]:
        return lambda: self.status_of(number)["phase"] == phase

    def has_started(self, number: int) -> bool:
        return self.journal.exists() and f"{self.name}-{number} begins" in self.journal.read_text()


@pytest.fixture
def deploys(c8s: C8s, tmp_path: Path) -> Callable[[str, str], Deploys]:
    return lambda name, policy: Deploys(c8s, tmp_path, name, policy)


def test_queued_run_waits_and_names_the_blocking_run(deploys: Callable[[str, str], Deploys]) -> None:
    found = deploys("queue-up", "queue")
    with found.start() as first:
        wait_until(lambda: found.has_started(1))
        with found.start() as second:
            wait_until(found.waits_for(2, "Queued"))
            assert found.status_of(2)["message"] == "waits for run queue-up-1, of the same group to-dev"
            with found.start("--param", "target=prod") as other:
                wait_until(lambda: found.has_started(3))
                found.go.write_text("")
                assert (first.wait(LONGEST), second.wait(LONGEST), other.wait(LONGEST)) == (0, 0, 0)
    lines = found.journal.read_text().splitlines()
    assert lines.index("queue-up-1 ends") < lines.index("queue-up-2 begins")


def test_cancel_running_policy_cancels_older_runs(deploys: Callable[[str, str], Deploys]) -> None:
    found = deploys("newest", "cancel-running")
    with found.start() as first:
        wait_until(lambda: found.has_started(1))
        with found.start() as second:
            wait_until(lambda: found.has_started(2))
            assert first.wait(LONGEST) == 1
            assert found.status_of(1)["phase"] == "Cancelled"
            assert "newest-2 ends" not in found.journal.read_text()
            found.go.write_text("")
            assert second.wait(LONGEST) == 0
    lines = found.journal.read_text().splitlines()
    assert "newest-1 ends" not in lines
    assert lines[-1] == "newest-2 ends"
