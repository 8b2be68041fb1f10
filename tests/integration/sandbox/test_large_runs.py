"""Runs with much of everything end, and block neither operator nor API."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.live import C8s, parse_step_table, write_pipeline

FILES = 5_000


class Computations:
    """What the controller's event loop computes from here on; other tests use the same sandbox."""

    def __init__(self, c8s: C8s) -> None:
        self._log = c8s.home / "state" / "c8s" / "default" / "logs" / "controller.log"
        self._begin = len(self._log.read_text())

    def longest(self) -> float:
        """The longest processor time in which the loop answered nothing, of the blocks it reported.

        Unlike the time on the clock it hardly depends on what else the machine does.
        """
        log = self._log.read_text()[self._begin :]
        return max(map(float, re.findall(r'"cpuSeconds": ([0-9.]+)', log)), default=0.0)


def test_thousands_of_artifacts_reach_the_next_step_and_the_list(c8s: C8s, tmp_path: Path) -> None:
    make = f"mkdir -p out/a out/b; seq {FILES} | while read n; do echo $n > out/$((n % 2 ? 1 : 2))-$n; done"
    write_pipeline(
        tmp_path,
        [
            f"{{name: make, image: 'busybox:1.36', commands: ['{make}'], artifacts: ['out/**']}}",
            "{name: use, image: 'busybox:1.36', dependsOn: [make], commands: ['find out -type f | wc -l']}",
        ],
        name="many",
    )
    computations = Computations(c8s)
    out = c8s("run", cwd=tmp_path).stdout
    assert parse_step_table(out) == {"make": "Succeeded", "use": "Succeeded"}
    assert f"use  | {FILES}" in out
    run = next(line.split()[1] for line in out.splitlines() if line.startswith("run many-"))
    listed = json.loads(c8s("artifacts", run, "-o", "json").stdout)
    assert len({each["path"] for each in listed}) == FILES
    step = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]["steps"][0]
    assert step["artifacts"]["files"] == FILES
    assert computations.longest() < 0.5
