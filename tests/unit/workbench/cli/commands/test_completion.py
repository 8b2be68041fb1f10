"""Shell completion, and the help of every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from workbench.cli.main import cli, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_exists_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"{shell}_complete" in script
    assert "_C8S_COMPLETE" in script


def test_shell_defaults_to_the_login_shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert main(["completion"]) == 0
    assert "#compdef c8s" in capsys.readouterr().out
    monkeypatch.setenv("SHELL", "/bin/csh")
    assert main(["completion"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.needs("bash")
def test_bash_completes_commands_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "c8s"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m workbench "$@"\n')
    program.chmod(0o755)
    asked = (
        'eval "$(c8s completion bash)"; COMP_WORDS=(c8s ru); COMP_CWORD=1; _c8s_completion c8s; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", asked],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["run", "runs"]


def _commands() -> list[str]:
    return cli.list_commands(click.Context(cli))


@pytest.mark.parametrize("name", _commands())
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert "Example" in (command.help or "")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_every_documented_command_exists() -> None:
    wanted = (
        "demo up down status kubeconfig doctor install lint schema run runs logs cancel rerun artifacts secrets shell"
    )
    assert set(wanted.split()) <= set(_commands())
