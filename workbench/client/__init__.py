"""The REST API of a controller as Python calls: the only door the workbench has to one.

    async with Client(endpoint) as client:
        run = await client.create_run({"pipeline": definition})
        async for frame in client.stream_logs(run.name):
            ...

Importing this costs nothing; the HTTP library is loaded by the first `async with`.
"""

from workbench.client.api import Client, Door
from workbench.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Unauthorized,
    Unreachable,
)
from workbench.client.views import (
    Artifact,
    Attempt,
    Change,
    Cluster,
    Done,
    End,
    FirstFailure,
    Frame,
    Lines,
    LintAnswer,
    Live,
    LogLine,
    LogSummary,
    Missed,
    Problem,
    Reused,
    Run,
    RunChanged,
    RunDeleted,
    RunEvent,
    RunPage,
    RunsListed,
    SecretNames,
    Step,
    StreamKey,
    Summary,
    Times,
)

__all__ = [
    "Artifact",
    "Attempt",
    "Change",
    "Client",
    "ClientError",
    "Cluster",
    "Conflict",
    "Done",
    "Door",
    "End",
    "FirstFailure",
    "Forbidden",
    "Frame",
    "Invalid",
    "Lines",
    "LintAnswer",
    "Live",
    "LogLine",
    "LogSummary",
    "Missed",
    "NotFound",
    "Problem",
    "Reused",
    "Run",
    "RunChanged",
    "RunDeleted",
    "RunEvent",
    "RunPage",
    "RunsListed",
    "SecretNames",
    "ServerError",
    "Step",
    "StreamKey",
    "Summary",
    "Times",
    "Unauthorized",
    "Unreachable",
]
