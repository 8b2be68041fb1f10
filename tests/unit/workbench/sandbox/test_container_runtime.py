"""What runs the steps of a sandbox."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from embedded.kubelet.runtime import leftovers
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
from workbench.client.endpoint import SandboxError
from workbench.sandbox.container_runtime import (
    SandboxRuntime,
    choose_runtime,
    find_runtime,
    read_runtime,
    sweep,
    sweep_engines,
    wanted_files,
    wanted_runtime,
    write_runtime,
)
from workbench.sandbox.engine_agent import agent_files, image_tag
from workbench.sandbox.launch import agent_command
from workbench.sandbox.paths import SandboxPaths


def test_an_option_wins_over_the_variable_and_that_over_the_file() -> None:
    environment = {"C8S_RUNTIME": "podman"}
    assert wanted_runtime("docker", environment, "process") == "docker"
    assert wanted_runtime(None, environment, "process") == "podman"
    assert wanted_runtime(None, {}, "process") == "process"
    assert wanted_runtime(None, {}, None) == "auto"


def test_a_variable_with_another_value_is_an_error() -> None:
    with pytest.raises(SandboxError, match="C8S_RUNTIME is 'dcker'; it must be one of auto, docker, podman, process"):
        wanted_runtime(None, {"C8S_RUNTIME": "dcker"}, None)


async def test_without_an_engine_processes_are_taken_only_by_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(variable, f"unix://{tmp_path}/none.sock")
    found = await choose_runtime("auto", tmp_path)
    assert (found.name, found.uses_images) == ("process", False)
    assert "none.sock" in found.reason
    assert found.describe().startswith("steps run as processes of this machine, and their images are ignored: no con")
    with pytest.raises(SandboxError, match=r"the runtime docker can't be used: .*--runtime process"):
        await choose_runtime("docker", tmp_path)
    assert (await find_runtime("process")).name == "process"


def test_the_choice_is_stored_with_the_sandbox(tmp_path: Path) -> None:
    folder = SandboxPaths(tmp_path)
    assert read_runtime(folder) == SandboxRuntime("process")
    chosen = SandboxRuntime("podman", "5.1", "unix:///x.sock")
    write_runtime(folder, chosen)
    assert read_runtime(folder) == chosen
    folder.runtime_file.write_text(json.dumps({"name": "docker", "later": 1}))
    assert read_runtime(folder).name == "docker"
    folder.runtime_file.write_text("[]")
    assert read_runtime(folder).name == "process"


def test_the_agent_is_told_when_steps_have_users_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SandboxPaths(tmp_path)
    shared, *plain = agent_command(folder, SandboxRuntime("process"))[1:]
    assert (shared, plain[1:3]) == (f"C8S_SHARED_SOURCES={tmp_path / 'sources'}", ["-I", "-S"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    docker = SandboxRuntime("docker")
    assert agent_command(folder, docker) == ["/usr/bin/env", shared, "C8S_GRANT_ACCESS=1", *plain]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "C8S_STORE_AFTER_CONTAINER=1" in agent_command(folder, docker)


def test_whose_disk_has_the_files_is_the_users_choice() -> None:
    assert wanted_files({}, None) == "auto"
    assert wanted_files({}, "shared") == "shared"
    assert wanted_files({"C8S_RUNTIME_FILES": "engine"}, "shared") == "engine"
    with pytest.raises(SandboxError, match=r"must be one of auto, shared, engine"):
        wanted_files({"C8S_RUNTIME_FILES": "mine"}, None)


def test_an_agent_in_the_engine_is_a_container_with_an_address_of_its_own(tmp_path: Path) -> None:
    chosen = SandboxRuntime("docker", files="engine", agent_image="c8s-agent:1", agent_host="host.docker.internal")
    assert agent_command(SandboxPaths(tmp_path), chosen) == ["python3", "-I", "-S", "/opt/c8s/agent"]
    assert "disk of its own" in chosen.describe()


def test_the_name_of_the_agents_image_changes_with_its_content() -> None:
    files = agent_files()
    assert {"__main__.py", "main.py", "archive/unpack.py"} <= set(files)
    tags = {image_tag("a", files), image_tag("b", files), image_tag("a", {**files, "main.py": b""})}
    assert len(tags) == 3
    assert image_tag("a", files) == image_tag("a", dict(files))


async def test_engines_are_swept_until_they_could_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = {"unix:///b.sock"}
    asked: list[str] = []

    def remove(address: str, data_dir: Path) -> int:
        assert data_dir == tmp_path / "cluster"
        asked.append(address)
        if address in away:
            raise RuntimeUnavailableError(f"can't connect to {address}")
        return 0

    monkeypatch.setattr(leftovers, "remove_containers", remove)
    folder, told = SandboxPaths(tmp_path), list[str]()
    # A sandbox that was killed with one engine is started with another one.
    write_runtime(folder, SandboxRuntime("docker", engine="unix:///b.sock", unswept="unix:///a.sock"))
    unswept = await sweep_engines(folder, told.append, but="unix:///c.sock")
    assert (unswept, asked) == ("unix:///b.sock", ["unix:///b.sock", "unix:///a.sock"])
    assert told == [f"warning: containers of sandbox {tmp_path.name} may be left: can't connect to unix:///b.sock"]
    write_runtime(folder, SandboxRuntime("process", unswept=unswept))
    asked.clear()
    away.clear()
    await sweep(folder, told.append)
    assert asked == ["unix:///b.sock"]
    assert read_runtime(folder) == SandboxRuntime("process")
    assert len(told) == 1
