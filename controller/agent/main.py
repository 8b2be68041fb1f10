"""The command line of the agent: `step`, `early-step` or `source`; settings come from the environment."""

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
        else:
            raise UsageError("usage: agent step|early-step|source|continue ACTION")
    except AgentError as error:
        print(f"c8s agent: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except OSError as error:
        print(f"c8s agent: {error.strerror or type(error).__name__}", file=sys.stderr, flush=True)
        return 1
    return 0
