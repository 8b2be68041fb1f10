"""Starts the agent from its folder, in an isolated interpreter that knows nothing of any package around it.

The folder is made a package by hand: were it left on sys.path, its modules could be taken for the standard library's.
A termination that comes while the rest is imported must wait, so signals are blocked before anything else.
"""

import sys

if sys.argv[1:2] == ["upload"]:
    import _signal  # type: ignore[import-not-found]  # `signal` itself takes its time to import enum

    _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM, _signal.SIGINT})

folder = __file__.rpartition("/")[0] or "."
if not __package__:
    package = type(sys)("c8s_agent")
    package.__path__ = [folder]
    sys.modules["c8s_agent"] = package
    sys.path[:] = [entry for entry in sys.path if entry != folder]
    __package__ = "c8s_agent"

from .main import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
