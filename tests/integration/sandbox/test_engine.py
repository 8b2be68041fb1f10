"""A sandbox whose steps run in their images."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from embedded.kubelet.runtime.engine.engine import list_labelled
from embedded.kubelet.runtime.engine.identity import CLUSTER_LABEL
from tests.live import C8s, parse_step_table, write_pipeline
from tests.support.engine import TEST_IMAGE, engine
from tests.support.terminal import terminal

__all__ = ["engine"]


def containers(found: FoundEngine, folder: Path) -> int:
    """How many containers of the sandbox `default` are in the engine."""
    identity = next(folder.rglob("cluster-id")).read_text()

    async def count() -> int:
        async with EngineClient(found.address) as client:
            return len(await list_labelled(client, f"{CLUSTER_LABEL}={identity}"))

    return asyncio.run(count())


@pytest.fixture
def c8s(tmp_path: Path) -> C8s:
    return C8s(tmp_path)


def test_steps_run_in_their_images_and_hand_artifacts_on(c8s: C8s, engine: FoundEngine) -> None:
    first = "test $FROM_IMAGE = yes; mkdir out; echo made > out/f; chmod 700 out"
    steps = [
        f'{{name: a, image: "{TEST_IMAGE}", commands: ["{first}"], artifacts: ["out/**"]}}',
        f'{{name: b, image: "{TEST_IMAGE}", commands: ["cat out/f given.txt"], dependsOn: [a]}}',
        f'{{name: c, image: "{TEST_IMAGE}", commands: ["wget -q -O - http://127.0.0.1:5555/"], services: [{{name: db, '
        f'image: "{TEST_IMAGE}", commands: ["mkdir w; echo served > w/index.html; httpd -f -p 5555 -h w"], '
        "ready: {port: 5555}}]}",
    ]
    write_pipeline(c8s.home, steps)
    (c8s.home / "given.txt").write_text("given\n")
    c8s("up", "--runtime", engine.info.name)
    try:
        result = c8s("run")
        assert parse_step_table(result.stdout) == dict.fromkeys("abc", "Succeeded")
        assert f"steps run in their images ({engine.info.name}://" in result.stdout
        assert "b | made" in result.stdout
        assert "b | given" in result.stdout
        assert "c | served" in result.stdout
        assert "steps run in their images" in c8s("status").stdout
        refused = c8s("up", "--runtime", "process", expect=1).stderr
        assert f"runs with the runtime {engine.info.name}, not process" in refused
    finally:
        c8s("down")
    assert containers(engine, c8s.home) == 0


def test_progress_bar_is_shown_while_it_grows(c8s: C8s, engine: FoundEngine) -> None:
    waits = "until test -e /tmp/go; do sleep 0.1; done"
    script = f"printf 'one\\n 10%% of it\\r 20%% of it'; {waits}; printf '\\r100%% of it\\n'"
    write_pipeline(c8s.home, [json.dumps({"name": "a", "image": TEST_IMAGE, "commands": [script]})], name="bar")
    c8s("up", "--runtime", engine.info.name)
    try:
        with terminal(c8s, "run", cwd=c8s.home) as run:
            run.read_until(b"a |  20% of it")
            c8s("shell", "bar-1", "a", "touch", "/tmp/go")
            run.read_until(None)
        assert run.process.returncode == 0
        assert b"a | 100% of it\r\n" in run.written
        assert c8s("logs", "bar-1", "a").stdout == "one\n100% of it\n"
    finally:
        c8s("down")


def test_containers_of_a_killed_sandbox_are_removed_by_down(c8s: C8s, engine: FoundEngine) -> None:
    write_pipeline(c8s.home, [f'{{name: a, image: "{TEST_IMAGE}", commands: ["echo up; sleep 600"]}}'])
    c8s("up", "--runtime", engine.info.name)
    try:
        with c8s.start("run") as running:
            assert running.stdout is not None
            assert any("up" in line for line in running.stdout)
            running.kill()
        state = json.loads(next(c8s.home.rglob("sandbox.json")).read_text())
        for pid in (state["pid"], *(child["pid"] for child in state["children"].values())):
            os.kill(pid, signal.SIGKILL)
        assert containers(engine, c8s.home) > 0
        # The agent is a process of this machine.
        assert c8s.processes() != []
    finally:
        c8s("down")
    assert (containers(engine, c8s.home), c8s.processes()) == (0, [])
