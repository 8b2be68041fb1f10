"""What `c8s doctor` says of engines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.sandbox.engine_check import check_engines, check_logins


def write_config(home: Path, content: object) -> Path:
    file = home / ".docker/config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content))
    return file


def test_a_missing_program_for_logins_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    file = write_config(tmp_path, {"credsStore": "desktop", "credHelpers": {"ghcr.example": "there"}})
    (programs / "docker-credential-there").write_text("#!/bin/sh\n")
    (programs / "docker-credential-there").chmod(0o755)
    (finding,) = check_logins({}, tmp_path)
    assert (finding.level, finding.found) == (
        "warning",
        f"docker-credential-desktop, which {file} names, is not in PATH",
    )
    assert "docker login" in finding.remedy
    (programs / "docker-credential-desktop").symlink_to("docker-credential-there")
    assert check_logins({}, tmp_path) == []


@pytest.mark.parametrize("content", [[], {"credHelpers": ["x"]}, {"credsStore": ""}, {}])
def test_a_file_that_names_none_is_no_finding(tmp_path: Path, content: object) -> None:
    write_config(tmp_path, content)
    assert check_logins({}, tmp_path) == []


def test_without_an_engine_it_is_said_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(variable, f"unix://{tmp_path}/none.sock")
    findings = check_engines()
    assert [finding.level for finding in findings] == ["warning", "warning"]
    assert "No such file or directory" in findings[0].found
    assert "systemctl start docker" in findings[0].remedy
    assert "podman.socket" in findings[1].remedy
