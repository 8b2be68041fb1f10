"""The commands for kind clusters on hosts without kind, without an engine, or with recordings of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.contract.schemas.schemas import problems
from tests.live import C8s
from tests.support.waiting import LONGEST

RECORDED = Path(__file__).parent.parent.parent / "unit" / "kind"


@dataclass(frozen=True)
class Machine:
    """The command with a `kind` and a `docker` that play recordings, or with none."""

    c8s: C8s
    plays: Callable[..., dict[str, str]]

    def __call__(self, *arguments: str, plays: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.c8s.command(*arguments),
            env=self.c8s.environment(self.plays(*plays)),
            cwd=self.c8s.home,
            capture_output=True, text=True, timeout=LONGEST, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    def plays(*names: str) -> dict[str, str]:
        folder = tmp_path / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for program in ("kind", "docker") if names else ():
            (folder / program).write_text(f"#!{sys.executable} -IS\n" + (RECORDED / "fake_program.py").read_text())
            (folder / program).chmod(0o755)
        recorded = {"RECORDED": str(RECORDED / "recorded.json"), "PLAYS": ",".join(names)}
        return {"PATH": str(folder), "PLAYED": str(tmp_path / "played"), **recorded}

    return Machine(C8s(tmp_path), plays)


def test_up_without_kind_prints_how_to_install_it(machine: Machine) -> None:
    done = machine("up", "--kind")
    assert done.returncode == 1
    assert "Install kind" in done.stderr
    assert "Traceback" not in done.stderr


def test_up_without_an_engine_prints_a_remedy(machine: Machine) -> None:
    done = machine("up", "--kind", plays=("kind-version", "no-daemon-docker-info"))
    assert done.returncode == 1
    assert "Cannot connect to the Docker daemon" in done.stderr
    assert "Start Docker" in done.stderr
    assert not (machine.c8s.home / "state" / "c8s" / "c8s" / "kind.json").exists()


def test_dry_run_needs_no_programs(machine: Machine) -> None:
    plan = json.loads(machine("up", "--kind", "--dry-run", "-o", "json").stdout)
    assert [each["step"] for each in plan][:3] == ["machine", "cluster", "image"]
    lines = machine("up", "--kind", "--dry-run").stdout.splitlines()
    assert lines[:2] == [" 1. machine     Check the host", f"{'':16}kind version; docker info, or podman or nerdctl"]
    assert len(lines) == 2 * len(plan)


def test_node_image_can_be_set_in_the_environment(machine: Machine) -> None:
    done = subprocess.run(
        machine.c8s.command("up", "--kind", "--dry-run", "-o", "json"),
        env={**machine.c8s.environment(), "C8S_KIND_IMAGE": "kindest/node:v9"},
        capture_output=True, text=True, timeout=LONGEST, check=True,
    )  # fmt: skip
    assert "--image kindest/node:v9 " in json.loads(done.stdout)[1]["does"]


def test_kind_options_require_kind(machine: Machine) -> None:
    assert machine("up", "--node-image", "kindest/node:v1").returncode == 2
    assert machine("up", "--kind", "--s3-bucket", "b").returncode == 2
    done = machine("up", "--kind", "--s3-endpoint", "http://s3.example.org")
    assert done.returncode == 2
    assert "AWS_ACCESS_KEY_ID" in done.stderr


def test_doctor_prints_json(machine: Machine) -> None:
    done = machine("doctor", "--output", "json", plays=("docker-info", "kind-version"))
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert found["docker"]["found"].startswith("Docker 20.10.24")
    assert found["kind"]["found"] == "version 0.33.0"
    assert found["cgroups"]["level"] == "warning"
    assert all(set(each) == {"check", "level", "found", "why", "remedy"} for each in found.values())


def test_doctor_exits_1_if_a_cluster_is_impossible(machine: Machine) -> None:
    done = machine("doctor")
    assert done.returncode == 1
    assert "ERROR kind" in done.stdout


def write_program(machine: Machine, name: str, script: str) -> dict[str, str]:
    """A program of this name on PATH besides those of the recordings; the environment with it."""
    environment = machine.plays("docker-info", "kind-version")
    file = Path(environment["PATH"]) / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return environment


def stopped_node(machine: Machine) -> dict[str, str]:
    """A recorded cluster whose node is stopped until it is started; the environment with its engine."""
    folder = machine.c8s.home / "state" / "c8s" / "lab"
    folder.mkdir(parents=True)
    ports = {"api": 18180, "s3": 18190}
    record = {"cluster": "lab", "ports": ports, "node_image": "n", "container": "abc"}
    (folder / "kind.json").write_text(json.dumps(record))
    inspected = {
        "Id": "abc", "Name": "/lab-control-plane", "State": {"Running": False},
        "Config": {"Labels": {"io.x-k8s.kind.cluster": "lab"}},
    }  # fmt: skip
    state, calls = machine.c8s.home / "inspected.json", machine.c8s.home / "calls"
    state.write_text(json.dumps(inspected))
    running = machine.c8s.home / "running.json"
    running.write_text(json.dumps({**inspected, "State": {"Running": True}}))
    info = json.dumps(
        {"ServerVersion": "28.0.0", "MemTotal": 8 << 30, "CgroupVersion": "2", "OperatingSystem": "Linux"}
    )
    script = f"""echo "$*" >>{calls}
case "$1 $2" in
  "info --format") echo '{info}' ;;
  "container inspect") while read -r line; do echo "$line"; done <{state}; echo ;;
  "start lab-control-plane") while read -r line; do echo "$line"; done <{running} >{state} ;;
  *) exit 1 ;;
esac"""
    for file in (state, running):
        file.write_text(file.read_text() + "\n")
    return write_program(machine, "docker", script)


def fix(machine: Machine, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        machine.c8s.command("doctor", "--fix", *arguments),
        env=machine.c8s.environment(environment),
        cwd=machine.c8s.home,
        capture_output=True, text=True, timeout=LONGEST, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_repairs_are_only_listed_without_a_terminal(machine: Machine) -> None:
    environment = stopped_node(machine)
    done = fix(machine, environment)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "$ docker start lab-control-plane" in done.stdout
    assert "nothing was run: use --yes" in done.stderr
    assert "start lab-control-plane" not in (machine.c8s.home / "calls").read_text()


def test_repairs_are_run_with_yes_and_checked_again(machine: Machine) -> None:
    environment = stopped_node(machine)
    done = fix(machine, environment, "--yes")
    assert "$ docker start lab-control-plane\n  done\n" in done.stdout
    checked = done.stdout.partition("checked again: ")[2]
    assert checked
    assert "lab-control-plane" not in checked
    again = fix(machine, environment, "--yes")
    assert "docker start" not in again.stdout


def test_repairs_need_words_that_fit(machine: Machine) -> None:
    for words in (("doctor", "--yes"), ("doctor", "--fix", "--output", "json")):
        done = machine(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_printed_installation_is_valid_and_has_no_keys(machine: Machine) -> None:
    printed = machine("install", "--context", "any", "--dry-run", "--image", "mine:1").stdout
    objects = list(yaml.safe_load_all(printed))
    assert [problem for each in objects for problem in problems(each)] == []
    assert {each["kind"] for each in objects} >= {"CustomResourceDefinition", "Deployment", "RoleBinding"}
    assert "Secret" not in {each["kind"] for each in objects}
    elsewhere = machine("install", "--context", "any", "--dry-run", "--s3-endpoint", "https://s3.example.org").stdout
    assert "minio" not in elsewhere
    assert "s3://c8s?endpoint=https://s3.example.org" in elsewhere


def test_installation_requires_an_image_and_a_context(machine: Machine) -> None:
    assert machine("install", "--context", "any").returncode == 2
    for words in (("--auth-proxy-address", "10.0.0.0/8"), ("--dashboard", "--auth-proxy-address", "0.0.0.0/0")):
        done = machine("install", "--context", "any", "--dry-run", *words)
        assert (done.returncode, "--auth-proxy-address" in done.stderr) == (2, True)
    own = machine.c8s.home / "kubeconfig"
    own.write_text("apiVersion: v1\nkind: Config\ncontexts: []\n")
    before = own.read_text()
    done = subprocess.run(
        machine.c8s.command("install", "--context", "missing", "--image", "mine:1"),
        env={**machine.c8s.environment(), "KUBECONFIG": str(own), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert own.read_text() == before
