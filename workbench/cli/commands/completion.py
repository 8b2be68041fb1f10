"""`c8s completion`: the script that makes a shell complete c8s's commands and options."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from workbench.cli.output.console import InputError, echo

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print the completion script for SHELL, which is the one you use unless named.

    \b
    Examples:
      c8s completion bash > ~/.local/share/bash-completion/completions/c8s
      c8s completion zsh > "${fpath[1]}/_c8s"
      c8s completion fish > ~/.config/fish/completions/c8s.fish
    """
    from workbench.cli.main import cli

    name = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(name) if name in _SHELLS else None
    if found is None:
        raise InputError(f"name the shell to complete in: {', '.join(_SHELLS)}")
    # Not `source()`: for bash it starts one to ask for its version, which a file made elsewhere has no use for.
    made = found(cli, {}, "c8s", "_C8S_COMPLETE")
    echo((made.source_template % made.source_vars()).rstrip("\n"))
