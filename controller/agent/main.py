"""The agent's command line: `fetch`, `upload` or `source`, everything else by the environment."""

import os
import sys

from .errors import AgentError, UsageError
from .settings import Settings


def main(arguments: list[str]) -> int:
    """The exit code: 0 done, 1 it could not be done, 2 the agent was started wrongly."""
    try:
        if arguments == ["fetch"]:
            from .fetch import fetch

            fetch(Settings(os.environ))
        elif arguments == ["upload"]:
            from .upload import upload

            upload(Settings(os.environ))
        elif arguments == ["source"]:
            from .clone import clone

            clone(Settings(os.environ))
        else:
            raise UsageError("usage: agent fetch|upload|source")
    except AgentError as problem:
        print(f"c8s agent: {problem}", file=sys.stderr, flush=True)
        return problem.exit_code
    except OSError as problem:
        print(f"c8s agent: {problem.strerror or type(problem).__name__}", file=sys.stderr, flush=True)
        return 1
    return 0
