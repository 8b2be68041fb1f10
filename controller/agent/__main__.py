"""Entry point of the agent, for an isolated interpreter that finds no package around the folder.

The folder becomes a package here; left on `sys.path`, its modules could shadow those of the standard library.
Signals are blocked before anything else is imported, so that none is lost before `step` waits for it.
"""

import sys

if sys.argv[1:2] in (["step"], ["early-step"]):
    import _signal  # type: ignore[import-not-found]  # `signal` itself imports enum, which takes time

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
