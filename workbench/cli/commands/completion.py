"""`c8s completion`: prints the script with which a shell completes commands and options."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from workbench.cli.output.console import InputError, echo

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, /, shell: str | None) -> None:
    """Print the completion script for SHELL; by default for the shell in $SHELL.

    \b
    Examples:
      c8s completion bash > ~/.local/share/bash-completion/completions/c8s
      c8s completion zsh > "${fpath[1]}/_c8s"
      c8s completion fish > ~/.config/fish/completions/c8s.fish
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(name) if name in _SHELLS else None
    if found is None:
        raise InputError(f"name a shell: {', '.join(_SHELLS)}")
    # Not `source()`: for bash it starts a shell to check its version, which does not matter for the script.
    script = found(ctx.find_root().command, {}, "c8s", "_C8S_COMPLETE")
    echo((script.source_template % script.source_vars()).rstrip("\n"))
