"""The process of one call: reads the call from stdin, runs it within its limits, and writes the result to stdout."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import sys
from pathlib import Path

from controller.worker import MEMORY_EXIT_CODE, WorkLimits


def main() -> int:
    """Run the call; returns the exit code."""
    # What the function prints must not get between the bytes of the result.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        # From the parent process, which runs the same code.
        limits, function, arguments = pickle.loads(sys.stdin.buffer.read())  # noqa: S301
        _apply(limits)
        try:
            answer = (True, function(*arguments))
        except MemoryError:
            return MEMORY_EXIT_CODE
        except Exception as error:  # the boundary of the process: the caller gets it
            answer = (False, error)
        output.write(pickle.dumps(answer))
        output.close()
    except MemoryError:
        return MEMORY_EXIT_CODE
    return 0


def _apply(limits: WorkLimits) -> None:
    """Limit this process; where a system knows a limit not, the others and the parent's time limit remain."""
    # A crash writes no core file: it would hold the data of users.
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_DATA, limits.memory_bytes),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
    with contextlib.suppress(OSError):
        # If the machine's or the container's memory runs out first, this process ends, not the controller.
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main())
