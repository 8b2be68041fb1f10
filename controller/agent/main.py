"""The command line of the agent: `step`, `early-step` or `source`; settings come from the environment.

`continue` lets a held step go on, and `spare` makes the spare copy of a source that is read from stdin.
"""

import os
import sys

from .errors import AgentError, UsageError
from .settings import AgentSettings


def main(arguments: list[str]) -> int:
    """Run a command; the exit code is 0 for success, 1 for a failure, 2 for wrong arguments or settings."""
    try:
        if arguments in (["step"], ["early-step"]):
            from .step import run_step

            run_step(AgentSettings(os.environ), early=arguments == ["early-step"])
        elif arguments[:1] == ["continue"] and len(arguments) == 2:
            from .step import continue_step

            continue_step(AgentSettings(os.environ), arguments[1])
        elif arguments == ["source"]:
            from .git.clone import clone

            clone(AgentSettings(os.environ))
        elif arguments[:1] == ["spare"] and len(arguments) == 2:
            from .sources.make_spare import make_spare

            print(make_spare(_shared_sources(), arguments[1], sys.stdin.buffer), flush=True)
        else:
            raise UsageError("usage: agent step|early-step|source|continue ACTION|spare DIGEST")
    except AgentError as error:
        print(f"c8s agent: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except OSError as error:
        print(f"c8s agent: {error.strerror or type(error).__name__}", file=sys.stderr, flush=True)
        return 1
    return 0


def _shared_sources() -> str:
    folder = os.environ.get("C8S_SHARED_SOURCES")
    if not folder:
        raise UsageError("the environment variable C8S_SHARED_SOURCES is not set")
    return folder
