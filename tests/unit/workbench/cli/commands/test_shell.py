"""How `c8s shell` reads its command line."""

from __future__ import annotations

import pytest

from workbench.cli.commands.shell import shell


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ([], ()),
        (["--"], ()),
        (["ls", "-la"], ("ls", "-la")),
        (["--", "ls", "-la"], ("ls", "-la")),
        (["git", "log", "--", "file"], ("git", "log", "--", "file")),
        (["--", "--", "ls"], ("--", "ls")),
    ],
)
def test_a_separator_before_the_command_is_dropped(given: list[str], command: tuple[str, ...]) -> None:
    context = shell.make_context("shell", ["run", "step", *given])
    assert (context.params["run"], context.params["step"], context.params["command"]) == ("run", "step", command)
