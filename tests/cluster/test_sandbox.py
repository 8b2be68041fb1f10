"""The life of a kind cluster: up again, stopped, started, refused, deleted. In this order: the last test ends it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.cluster.conftest import NAME, Program
from tests.live import parse_step_table

pytestmark = pytest.mark.kind_only


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, check=True
    ).stdout.strip()


def test_everything_is_healthy_and_the_contexts_are_there(cluster: Program) -> None:
    found = json.loads(cluster("status", "--name", NAME, "-o", "json").stdout)
    assert found["state"] == "running"
    names = {part["name"] for part in found["components"] if part["healthy"]}
    assert {"docker", "node", "cluster", "c8s-operator", "c8s-api", "c8s-minio", "api"} <= names
    own = yaml.safe_load((cluster.home / "own-kubeconfig").read_text())
    assert own["current-context"] == f"kind-{NAME}"
    contexts = yaml.safe_load((cluster.home / "config" / "c8s" / "config.yaml").read_text())
    assert contexts["current-context"] == f"kind-{NAME}"
    assert cluster("kubeconfig", "--name", NAME).stdout.strip() == str(cluster.kubeconfig)


def test_a_second_up_finds_everything_done(cluster: Program) -> None:
    began = time.monotonic()
    said = cluster("up", "--kind", "--name", NAME).stderr
    assert "exists, Kubernetes" in said
    assert re.search(r"c8s-controller:\w+ exists", said)
    assert time.monotonic() - began < 60


def test_all_ports_are_on_loopback(cluster: Program) -> None:
    published = json.loads(
        docker("container", "inspect", "--format", "{{json .HostConfig.PortBindings}}", f"{NAME}-control-plane")
    )
    addresses = {each["HostIp"] for bound in published.values() for each in bound}
    assert addresses == {"127.0.0.1"}


def test_a_node_that_was_stopped_is_started_again_with_its_runs(cluster: Program, repository: Path) -> None:
    sample = repository / "samples" / "hello.yaml"
    name = cluster("run", str(sample), "--source", str(sample.parent)).stdout.split()[1]
    cluster("down", "--name", NAME)
    assert json.loads(cluster("status", "--name", NAME, "-o", "json", expect=1).stdout)["state"] == "stopped"
    cluster("up", "--kind", "--name", NAME)
    assert name in {each["name"] for each in json.loads(cluster("runs", "-o", "json").stdout)}
    assert "Hello from step greet" in cluster("logs", name).stdout
    out = cluster("run", str(sample), "--source", str(sample.parent)).stdout
    assert set(parse_step_table(out).values()) == {"Succeeded"}


def test_a_cluster_that_c8s_did_not_make_is_left_alone(cluster: Program) -> None:
    """Ours, but seen from a state folder that knows nothing of it."""
    stranger = Program(cluster.home / "stranger", cluster.kubeconfig)
    stranger.home.mkdir()
    said = stranger("up", "--kind", "--name", NAME, expect=1).stderr
    assert "left unchanged" in said
    assert docker("container", "inspect", "--format", "{{.State.Running}}", f"{NAME}-control-plane") == "true"


def test_a_token_is_renewed_when_it_is_due(cluster: Program) -> None:
    token = cluster.home / "state" / "c8s" / NAME / "credentials" / "workbench.token"
    before = token.read_text()
    token.with_name(token.name + ".renew-after").write_text("0\n")
    cluster("runs")
    assert token.read_text() != before
    assert token.stat().st_mode & 0o777 == 0o600


def test_down_with_delete_leaves_nothing(cluster: Program) -> None:
    cluster("down", "--name", NAME, "--delete", "--yes")
    assert (
        NAME
        not in subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not (cluster.home / "state" / "c8s" / NAME).exists()
    contexts = yaml.safe_load((cluster.home / "config" / "c8s" / "config.yaml").read_text())
    assert contexts["contexts"] == []
    assert "current-context" not in contexts
