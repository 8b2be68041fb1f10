"""A teammate's token: what it allows at the API and at Kubernetes, and that it ends when it is revoked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.live import C8s, write_pipeline
from tests.support.waiting import LONGEST, wait_until

STEPS = ['{name: say, image: "busybox:1.36", commands: ["echo hello"]}']


@pytest.fixture
def teammate(tmp_path: Path) -> C8s:
    """The command on another machine: nothing but its own files."""
    return C8s(tmp_path / "teammate")


def give(c8s: C8s, teammate: C8s, role: str) -> str:
    """Give the teammate a context with this role; the token's name."""
    teammate.home.mkdir()
    file = teammate.home / "mine.c8s"
    c8s("token", "create", "--role", role, "--for", "alice", "--ttl", "20m", "--file", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    teammate("token", "use", str(file))
    listed = json.loads(c8s("token", "list", "--output", "json").stdout)
    (name,) = [each["name"] for each in listed if each["for"] == "alice" and each["role"] == role]
    return str(name)


def test_a_viewer_follows_runs_and_changes_nothing(c8s: C8s, teammate: C8s, tmp_path: Path) -> None:
    write_pipeline(tmp_path, STEPS, "watched")
    c8s("run", cwd=tmp_path)
    name = give(c8s, teammate, "viewer")
    run = next(each for each in json.loads(teammate("runs", "-o", "json").stdout) if each["pipeline"] == "watched")
    assert "hello" in teammate("logs", run["name"]).stdout
    for refused in (
        ("run", str(tmp_path / ".c8s.yaml"), "--no-source"),
        ("rerun", run["name"]),
        ("secrets", "list"),
        ("secrets", "delete", "db"),
        ("runs", "--namespace", "c8s-system"),
    ):
        assert "permission denied" in teammate(*refused, expect=1).stderr, refused
    assert "may not create tokens" in teammate("token", "create", "--role", "developer", expect=1).stderr
    assert "is revoked" in c8s("token", "revoke", name).stdout
    assert name not in c8s("token", "list").stdout

    def refusal() -> bool:
        return "token" in teammate("runs", expect=None).stderr

    wait_until(refusal, what="the API refuses the token")


def test_a_developer_runs_in_the_own_namespace_only(c8s: C8s, teammate: C8s, tmp_path: Path) -> None:
    name = give(c8s, teammate, "developer")
    write_pipeline(tmp_path, STEPS, "shared")
    teammate("run", cwd=tmp_path)
    teammate("secrets", "list")
    assert "permission denied" in teammate("runs", "--namespace", "c8s-system", expect=1).stderr
    c8s("token", "revoke", name)


@pytest.mark.needs("kubectl")
def test_kubectl_reads_as_a_viewer_and_loses_access_at_once(c8s: C8s, tmp_path: Path) -> None:
    file = tmp_path / "viewer.kubeconfig"
    issued = c8s("token", "create", "--role", "viewer", "--for", "kube", "--format", "kubeconfig", "--file", str(file))
    assert file.stat().st_mode & 0o777 == 0o600

    def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--kubeconfig", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)

    assert kubectl("get", "pipelineruns").returncode == 0
    for refused in (
        ("delete", "pipelineruns", "watched-1"),
        ("create", "configmap", "a"),
        ("create", "token", "default"),
        ("get", "secrets"),
        ("get", "pods"),
        ("get", "pipelineruns", "--all-namespaces"),
    ):
        assert "is forbidden" in kubectl(*refused).stderr, refused
    assert kubectl("auth", "can-i", "get", "pipelineruns/log").stdout.strip() == "yes"
    name = issued.stderr.split("token revoke ")[1].split()[0]
    c8s("token", "revoke", name)
    assert "Unauthorized" in (refusal := kubectl("get", "pipelineruns")).stderr or "logged in" in refusal.stderr
