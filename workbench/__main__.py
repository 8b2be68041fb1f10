"""The program `c8s`, also as `python -m workbench`: sees to Ctrl-C before the command line is loaded and at its end.

Only built-in modules and those that Python loads at its start are imported before that: `signal` takes milliseconds.
"""

import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import os
import sys

_INTERRUPTED = 130


def _exit_at_once(*_: object) -> None:
    """Exit without the traceback that Python prints where nothing can handle a `KeyboardInterrupt`."""
    os.write(2, b"c8s: interrupted\n")
    os._exit(_INTERRUPTED)


def main() -> int:
    """Run the command line; returns the exit code."""
    # A shell ignores the signal for programs in the background, and so does c8s then.
    is_handled = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    if is_handled:
        _signal.signal(_signal.SIGINT, _exit_at_once)
    from workbench.cli.main import main as run_command

    try:
        if is_handled:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        return run_command()
    except KeyboardInterrupt:
        # Outside of what handles it in there.
        _exit_at_once()
        raise
    finally:
        if is_handled:
            _signal.signal(_signal.SIGINT, _exit_at_once)


if __name__ == "__main__":
    sys.exit(main())
