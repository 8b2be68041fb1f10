"""PipelineRuns to Jobs: what a run needs next is decided by a pure function; everything else carries it out."""

from controller.operator.controller import RunController
from controller.operator.settings import OperatorSettings

__all__ = ["OperatorSettings", "RunController"]
