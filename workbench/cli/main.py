"""The command `c8s`: finds the subcommand, and turns errors into messages and exit codes.

Subcommands are imported when they are called or described, so that `c8s lint` does
not load libraries that only the workbench needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click
from click.core import ParameterSource

from workbench.cli.output.console import CommandError, InputError, close_output, echo_error, prepare_streams

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell reports for a program that ended by SIGPIPE."""

_COMMANDS = {
    "demo": ("workbench.cli.commands.demo", "Take a tour: a small project in a sandbox of its own."),
    "init": ("workbench.cli.commands.pipelines.init", "Write a pipeline file for your repository."),
    "import": ("workbench.cli.commands.pipelines.import_file", "Convert a pipeline of another CI system."),
    "samples": ("workbench.cli.commands.pipelines.samples", "List the sample pipelines, or copy one."),
    "run": ("workbench.cli.commands.run", "Run a pipeline on your working tree and stream its logs."),
    "lint": ("workbench.cli.commands.pipelines.lint", "Check pipeline files."),
    "schema": ("workbench.cli.commands.pipelines.lint", "Print the JSON Schema of pipeline files."),
    "runs": ("workbench.cli.commands.runs", "List runs, or show one."),
    "logs": ("workbench.cli.commands.runs", "Print the logs of a run."),
    "hold": ("workbench.cli.commands.steps.breakpoints", "Hold steps of a run at breakpoints."),
    "continue": ("workbench.cli.commands.steps.breakpoints", "Let a step go on that a breakpoint holds."),
    "cancel": ("workbench.cli.commands.runs", "Cancel a run."),
    "rerun": ("workbench.cli.commands.rerun", "Run a run again, or only its steps that did not succeed."),
    "why": ("workbench.cli.commands.steps.why", "Explain why a step was reused or ran again."),
    "shell": ("workbench.cli.commands.steps.shell", "Open a shell in a running step."),
    "tests": ("workbench.cli.commands.steps.tests", "List the tests of a run, and which of them are flaky."),
    "stats": ("workbench.cli.commands.stats", "Show durations of a pipeline's last runs, and what got slower."),
    "artifacts": ("workbench.cli.commands.steps.artifacts", "List or download the artifacts of a run."),
    "export": ("workbench.cli.commands.bundle", "Write a run to a file that opens without a cluster."),
    "open": ("workbench.cli.commands.browsers.open", "Open the dashboard in a browser, or a file of `c8s export`."),
    "serve": ("workbench.cli.commands.browsers.serve", "Show the workbench in browsers, to you or an audience."),
    "approve": ("workbench.cli.commands.forges.webhooks", "Let the run of a pull request from a fork start."),
    "connect": ("workbench.cli.commands.forges.connect", "Connect repositories of GitHub, GitLab, Bitbucket or Gitea."),
    "trigger": ("workbench.cli.commands.forges.trigger", "Run what a push or pull request would run, or say why not."),
    "webhooks": ("workbench.cli.commands.forges.webhooks", "List the deliveries of forges, or handle one again."),
    "secrets": ("workbench.cli.commands.secrets", "Set, list and delete secrets."),
    "up": ("workbench.cli.commands.sandbox", "Start a sandbox and keep it running."),
    "down": ("workbench.cli.commands.sandbox", "Stop a sandbox."),
    "status": ("workbench.cli.commands.sandbox", "Show sandbox status."),
    "doctor": ("workbench.cli.commands.doctor", "Check this machine for problems with clusters."),
    "install": ("workbench.cli.commands.kind", "Install the controller into a cluster."),
    "token": ("workbench.cli.commands.token", "Give teammates access to a controller, and take it back."),
    "kubeconfig": ("workbench.cli.commands.sandbox", "Print the path of a sandbox's kubeconfig."),
    "completion": ("workbench.cli.commands.completion", "Print the completion script of a shell."),
}

_FUNCTIONS = {"continue": "continue_", "import": "import_file", "open": "open_"}
"""The functions of commands whose name is a keyword or a function of Python."""


class LazyGroup(click.Group):
    """A group with the names and summaries of its commands, which are imported when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command = getattr(import_module(module), _FUNCTIONS.get(cmd_name, cmd_name))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean `c8s {near[0]}`?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="c8s-workbench", prog_name="c8s")
@click.option("--name", envvar="C8S_SANDBOX", metavar="NAME", help="Open the workbench on this sandbox.")
@click.option("--context", envvar="C8S_CONTEXT", metavar="NAME", help="Open it on this context of the config file.")
@click.option("--read-only", is_flag=True, help="Open it so that no key changes anything.")
@click.pass_context
def cli(ctx: click.Context, /, name: str | None, context: str | None, read_only: bool) -> None:
    """Edit, run and watch CI pipelines on a sandbox cluster.

    Without a command, `c8s` opens the workbench in the terminal.

    \b
    Try it:
      c8s demo                  take a tour of a small project, in a sandbox of its own
      c8s init                  write ./.c8s.yaml for your repository
      c8s run                   run ./.c8s.yaml on your working tree, including uncommitted changes
      c8s lint                  check ./.c8s.yaml

    \b
    Files:
      .c8s.yaml                          a pipeline; searched upward to the repository's root
      $XDG_CONFIG_HOME/c8s/config.yaml   contexts (other controllers), theme and keys
      $XDG_STATE_HOME/c8s/NAME/          all data of a sandbox

    \b
    Environment:
      C8S_SANDBOX      the sandbox to use, like --name
      C8S_CONTEXT      the context to use, like --context
      C8S_RUNTIME      what runs the steps of a sandbox that is started, like `c8s up --runtime`
      C8S_RUNTIME_FILES  whose disk has their files in an engine: shared, engine, auto
      NO_COLOR         disables colours if set

    \b
    Exit codes: 0 success, 1 failure, 2 invalid input, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        from pathlib import Path

        from workbench.cli.commands.workbench import open_workbench
        from workbench.cli.options import resolve_target
        from workbench.submit.worktree import find_pipeline

        ctx.exit(open_workbench(resolve_target(ctx), find_pipeline(Path.cwd()), read_only=read_only))
    if read_only:
        ctx.fail("--read-only is for the workbench: `c8s --read-only`, or `c8s serve --read-only` for browsers.")
    for option in ("name", "context"):
        if ctx.invoked_subcommand and ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            ctx.fail(f"Write --{option} after the command: `c8s {ctx.invoked_subcommand} --{option} NAME`.")


def main(arguments: Sequence[str] | None = None, command: click.Command | None = None) -> int:
    """Run a command and return its exit code. Errors of the user or the network print no traceback.

    `command` is one that users do not call, in place of `c8s`.
    """
    prepare_streams()
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments), command or cli)
    except BrokenPipeError:
        close_output()
        return BROKEN_PIPE
    finally:
        _flush()


def _run(arguments: list[str], command: click.Command) -> int:
    try:
        if "_C8S_COMPLETE" in os.environ:
            cli.main(prog_name="c8s")  # The shell requests completions.
        # Not `cli.main`: it handles broken pipes differently.
        with command.make_context("c8s", arguments) as context:
            code = command.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        echo_error("interrupted")
        return INTERRUPTED
    except KeyboardInterrupt:
        echo_error("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        raise
    except Exception as error:
        code = _report_error(error)
        if code is None:
            raise
    return code if isinstance(code, int) else 0


def _report_error(error: Exception) -> int | None:
    """Print an expected error and return its exit code; None for an unexpected error."""
    from kind.errors import KindError
    from workbench.client.endpoint import SandboxError, SandboxNameError
    from workbench.client.errors import ClientError, InvalidError
    from workbench.config.contexts import ContextError
    from workbench.pipeline_file.load import ParameterError, PipelineFileError
    from workbench.submit.repository import WorktreeError
    from workbench.watching.folder_lock import AlreadyWatchedError

    if isinstance(error, InvalidError):
        from workbench.cli.output.diagnostics import print_invalid

        print_invalid(error)
        return BAD_INPUT
    if isinstance(error, ParameterError):
        echo_error(f"error: {error}. Set parameters with --param KEY=VALUE")
        return BAD_INPUT
    if isinstance(
        error, (AlreadyWatchedError, WorktreeError, ContextError, InputError, PipelineFileError, SandboxNameError)
    ):
        echo_error(f"error: {error}")
        return BAD_INPUT
    if isinstance(error, (ClientError, SandboxError, CommandError, KindError, OSError)):
        from workbench.sandbox.disk import full_disk_message

        text = error.strerror if isinstance(error, OSError) and error.strerror and not error.filename else error
        echo_error(f"error: {text}")
        if full := full_disk_message():
            echo_error(full)
        return FAILED
    return None


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        close_output()
    except (OSError, ValueError):
        os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
