"""PipelineRuns to Jobs: what a run needs next is decided by a pure function; everything else carries it out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.operator.controller import RunController
    from controller.operator.settings import OperatorSettings

__all__ = ["OperatorSettings", "RunController"]


def __getattr__(name: str) -> Any:
    """Import the controller when it is used: the parts of this package that others use start without it."""
    if name == "RunController":
        from controller.operator.controller import RunController

        return RunController
    if name == "OperatorSettings":
        from controller.operator.settings import OperatorSettings

        return OperatorSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
