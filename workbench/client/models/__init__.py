"""The objects of the REST API as frozen dataclasses.

Their text comes from pipelines: `workbench.text.sanitize` makes it safe to display.
"""

from controller.run_history import AttemptTimes
from workbench.client.models.cluster import Cluster, ComponentHealth, Health, Pod, Quota, SecretNames
from workbench.client.models.logs import (
    BacklogEnd,
    CommandStarted,
    Frame,
    LinePart,
    Lines,
    LogLine,
    Missed,
    RunEnd,
    StepCommand,
    StreamEnd,
    StreamKey,
)
from workbench.client.models.pipelines import Diagnostic, LintResponse, SavedPipeline
from workbench.client.models.runs import (
    Change,
    CopyOf,
    Run,
    RunChanged,
    RunDeleted,
    RunEvent,
    RunPage,
    RunsListed,
    Summary,
)
from workbench.client.models.steps import (
    Artifact,
    Attempt,
    FirstFailure,
    LogSummary,
    ResourceUsage,
    Reused,
    SavedWorkspace,
    Step,
    TestCounts,
)

__all__ = [
    "Artifact",
    "Attempt",
    "AttemptTimes",
    "BacklogEnd",
    "Change",
    "Cluster",
    "CommandStarted",
    "ComponentHealth",
    "CopyOf",
    "Diagnostic",
    "FirstFailure",
    "Frame",
    "Health",
    "LinePart",
    "Lines",
    "LintResponse",
    "LogLine",
    "LogSummary",
    "Missed",
    "Pod",
    "Quota",
    "ResourceUsage",
    "Reused",
    "Run",
    "RunChanged",
    "RunDeleted",
    "RunEnd",
    "RunEvent",
    "RunPage",
    "RunsListed",
    "SavedPipeline",
    "SavedWorkspace",
    "SecretNames",
    "Step",
    "StepCommand",
    "StreamEnd",
    "StreamKey",
    "Summary",
    "TestCounts",
]
