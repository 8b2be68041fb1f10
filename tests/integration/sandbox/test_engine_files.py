"""A sandbox whose engine has the files of steps on a disk of its own: the agent is a container too."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from embedded.kubelet.runtime.engine.engine import list_labelled, list_volumes
from embedded.kubelet.runtime.engine.identity import CLUSTER_LABEL
from tests.live import C8s, parse_step_table, run_name, write_pipeline
from tests.support.agent_base import make_agent_base
from tests.support.engine import TEST_IMAGE, engine
from tests.support.waiting import LONGEST, wait_until

__all__ = ["engine"]

# Each process would import a base image of its own, and of the agent images that are made from it the oldest go.
pytestmark = pytest.mark.xdist_group("engine files")


def left(found: FoundEngine, folder: Path) -> tuple[int, int]:
    """How many containers and volumes of the sandbox `default` are in the engine."""
    label = f"{CLUSTER_LABEL}={next(folder.rglob('cluster-id')).read_text()}"

    async def count() -> tuple[int, int]:
        async with EngineClient(found.address) as client:
            return len(await list_labelled(client, label)), len(await list_volumes(client, label))

    return asyncio.run(count())


@pytest.fixture
def c8s(tmp_path: Path, engine: FoundEngine) -> Iterator[C8s]:
    """A running sandbox."""
    found = C8s(tmp_path, {"C8S_RUNTIME_FILES": "engine", "C8S_AGENT_BASE_IMAGE": make_agent_base(engine)})
    found("up", "--runtime", engine.info.name)
    try:
        yield found
    finally:
        found("down")
        assert left(engine, tmp_path) == (0, 0)


def test_source_artifacts_caches_and_services_reach_steps(c8s: C8s) -> None:
    cache = 'cache: [{key: "k-{{hash given.txt}}", paths: [kept]}]'
    steps = [
        f'{{name: a, image: "{TEST_IMAGE}", commands: ["cat given.txt; mkdir out kept; echo made > out/f; chmod 700 '
        f'out; echo cached > kept/f"], artifacts: ["out/**"], {cache}}}',
        f'{{name: b, image: "{TEST_IMAGE}", commands: ["cat out/f kept/f; id -u"], dependsOn: [a], {cache}}}',
        f'{{name: c, image: "{TEST_IMAGE}", commands: ["wget -q -O - http://127.0.0.1:5555/"], services: [{{name: db, '
        f'image: "{TEST_IMAGE}", commands: ["mkdir w; echo served > w/index.html; httpd -f -p 5555 -h w"], '
        "ready: {port: 5555}}]}",
    ]
    write_pipeline(c8s.home, steps)
    (c8s.home / "given.txt").write_text("given\n")
    result = c8s("run")
    assert parse_step_table(result.stdout) == dict.fromkeys("abc", "Succeeded")
    for line in ("a | given", "b | made", "b | cached", "c | served"):
        assert line in result.stdout
    assert "on a disk of its own" in c8s("status").stdout
    assert c8s("artifacts", run_name(result.stdout), "a").stdout.count("out/f") == 1


def test_a_kept_workspace_and_a_breakpoint_are_entered_by_a_shell(c8s: C8s, engine: FoundEngine) -> None:
    write_pipeline(c8s.home, [f'{{name: first, image: "{TEST_IMAGE}", commands: ["echo left > left.txt", "exit 3"]}}'])
    run = run_name(c8s("run", "--keep-on-failure", expect=1).stdout)
    assert c8s("shell", run, "first", "cat", "left.txt").stdout == "left\n"
    with c8s.start("run", "--break", "first:failed") as session:
        assert session.stdout is not None
        line = next(line for line in session.stdout if line.startswith("run "))
        held = run_name(line)

        def is_held() -> bool:
            status = json.loads(c8s("runs", "-o", "json").stdout)[0]["status"]
            return any(step.get("reason") == "Held" for step in status.get("steps", []))

        wait_until(is_held, what="the step to be held")
        assert c8s("shell", held, "first", "cat", "left.txt").stdout == "left\n"
        c8s("continue", held, "first", "--accept")
        session.communicate(timeout=LONGEST)
    assert session.returncode == 0


def test_what_a_killed_sandbox_leaves_goes_at_the_next_start(c8s: C8s, engine: FoundEngine) -> None:
    write_pipeline(c8s.home, [f'{{name: a, image: "{TEST_IMAGE}", commands: ["echo up; sleep 600"]}}'])
    with c8s.start("run") as running:
        assert running.stdout is not None
        assert any("up" in line for line in running.stdout)
        running.kill()
    state = json.loads(next(c8s.home.rglob("sandbox.json")).read_text())
    for pid in (state["pid"], *(child["pid"] for child in state["children"].values())):
        os.kill(pid, signal.SIGKILL)
    assert min(left(engine, c8s.home)) > 0
    # `down` removes it, as the fixture sees.


def test_a_clone_step_runs_in_the_agents_container(c8s: C8s) -> None:
    """Nothing answers at the address, and it is git that says so."""
    write_pipeline(c8s.home, [f'{{name: a, image: "{TEST_IMAGE}", commands: ["true"]}}'])
    result = c8s("run", "--git", "https://127.0.0.1:9/nothing.git", expect=1)
    assert "127.0.0.1" in result.stdout
