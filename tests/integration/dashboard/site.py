"""The dashboard of a live sandbox, with a hostile run, and a signed-in browser at it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import C8s
from tests.support.waiting import wait_until

WAIT = 60_000
"""Milliseconds: the machine may be busy."""
SETTLED = (
    "!!window.htmx && !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added') "
    "&& document.readyState === 'complete'"
)
"""Whether htmx has taken over a page; its marks are on what is not yet ready."""
PAYLOAD = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
ARTIFACT = "<img src=x onerror=window.hacked=1>.html"
_ESCAPED = PAYLOAD.replace("<", "&lt;")
JUNIT = (
    f'<testsuite><testcase name="{_ESCAPED}" classname="c"><failure message="{_ESCAPED}">{_ESCAPED}</failure>'
    f"<system-out>{_ESCAPED}</system-out></testcase></testsuite>"
)
HOSTILE = f"""\
version: v1alpha1
name: hostile
steps:
  - name: build
    image: x
    commands:
      - echo "{PAYLOAD}"
      - printf '\\033]0;owned\\007\\033[2J\\033[31mred\\033[0m \\342\\200\\256evil\\n'
      - mkdir out && echo "{PAYLOAD}" > "out/{ARTIFACT}"
      - echo '<svg xmlns="http://www.w3.org/2000/svg" onload="window.hacked=1"/>' > out/x.svg
    artifacts: ["out/*"]
  - name: test
    image: x
    dependsOn: [build]
    matrix: {{dimensions: {{case: ["{PAYLOAD}", "javascript:window.hacked=1"]}}}}
    commands: ["true"]
  - name: unit
    image: x
    allowFailure: true
    commands:
      - |
        cat > junit.xml <<'END'
        {JUNIT}
        END
        exit 1
    reports: {{junit: [junit.xml]}}
  - name: lint
    image: x
    allowFailure: true
    commands: ["for i in $(seq 1 1200); do echo line $i; done", "echo 'Error: {PAYLOAD}'; exit 3"]
"""
SLOW = """\
version: v1alpha1
name: slow
steps:
  - name: first
    image: x
    commands: ["echo begun; while [ ! -e {gate} ]; do sleep 0.1; done; echo released"]
  - name: second
    image: x
    dependsOn: [first]
    commands: ["echo done"]
"""


@dataclass
class Site:
    """A signed-in browser at the dashboard of a sandbox."""

    c8s: C8s
    chromium: Any
    root: str
    state: Any
    hostile: str
    folder: Path
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def page(self, *, signed_in: bool = True, **options: Any) -> Iterator[Any]:
        """A tab in a context of its own; what scripts and the policy complain about fails the test."""
        context = self.chromium.new_context(storage_state=self.state if signed_in else None, **options)
        context.set_default_timeout(WAIT)
        tab = context.new_page()
        problems: list[str] = []
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        self.problems = problems
        try:
            yield tab
            assert problems == [], problems
        finally:
            context.close()

    @property
    def pages(self) -> list[str]:
        run = f"runs/{self.hostile}"
        return [
            "pipelines", "runs", "runs?filter=status:failed", "deliveries", "cluster", run, f"{run}/steps/build",
            f"{run}/steps/lint?search=boom", f"{run}/tests", f"{run}/artifacts",
            f"{run}/artifacts/build/preview/out/x.svg", f"{run}?at=0.5&step=build", f"{run}?at=9999",
            f"{run}/steps/build?at=9999",
            f"{run}/steps/build/why", f"compare?left={self.hostile}&right={self.hostile}",
        ]  # fmt: skip

    def wait_for_end(self, run: str, phase: str) -> None:
        """Wait until the run has ended like this. Its steps may have this phase long before."""
        wait_until(lambda: json.loads(self.c8s("runs", run, "-o", "json").stdout)["status"]["phase"] == phase)

    def start(self, name: str = "slow") -> tuple[str, Path]:
        """A run whose first step waits for the file."""
        gate = self.folder / f"gate-{os.urandom(4).hex()}"
        folder = self.folder / gate.name.replace("gate", "run")
        folder.mkdir()
        (folder / ".c8s.yaml").write_text(SLOW.format(gate=gate))
        process = self.c8s.start("run", cwd=folder)
        assert process.stdout is not None
        name = next(line.split()[1] for line in process.stdout if line.startswith("run "))
        process.kill()
        process.wait()
        process.stdout.close()
        return name, gate


def wait_until_settled(tab: Any) -> None:
    """Wait until htmx has taken over the links of a new page; until then they load whole pages."""
    wait_until(lambda: tab.evaluate(SETTLED), what="the page is settled")
