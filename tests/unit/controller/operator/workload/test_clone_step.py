"""The step that clones a repository."""

from __future__ import annotations

from controller.operator import names
from controller.operator.workload import clone_step
from tests.unit.controller.operator.world import build_run, step


def test_credentials_are_those_of_the_runs_own_secret() -> None:
    git = {"url": "https://git.example.org/a.git", "secretRef": "git"}
    run = build_run([step("a")], spec={"source": {"git": git}})
    [volume] = [each for each in clone_step.volumes(run, "source", 1) if each["name"] == "git"]
    secret = volume["secret"]
    assert (secret["secretName"], secret["optional"]) == (names.secrets_name("ci-1", "uid-1"), True)
    assert {item["path"]: item["key"] for item in secret["items"]} == {
        "username": "git.username",
        "password": "git.password",
        "ssh-privatekey": "git.ssh-privatekey",
        "known_hosts": "git.known_hosts",
    }


def test_a_repository_without_credentials_has_no_volume_for_them() -> None:
    run = build_run([step("a")], spec={"source": {"git": {"url": "https://git.example.org/a.git"}}})
    assert [each["name"] for each in clone_step.volumes(run, "source", 1)] == ["workspace", "agent-source"]
