"""The controller's REST API as Python calls: the only way the user interfaces reach a controller.

    async with Client(endpoint) as client:
        run = await client.create_run(RunRequest(definition), idempotency_key=key)
        async for frame in client.stream_logs(run.name):
            ...

Importing this is cheap; the HTTP library is loaded by the first `async with`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.client.errors import (
        ClientError,
        ConflictError,
        DamagedDownloadError,
        ForbiddenError,
        InvalidError,
        NotFoundError,
        ServerError,
        UnauthorizedError,
        UnreachableError,
    )
    from workbench.client.models import (
        Artifact,
        Attempt,
        AttemptTimes,
        BacklogEnd,
        Change,
        Cluster,
        CommandStarted,
        ComponentHealth,
        CopyOf,
        Diagnostic,
        FirstFailure,
        Frame,
        Health,
        LinePart,
        Lines,
        LintResponse,
        LogLine,
        LogSummary,
        Missed,
        Pod,
        Quota,
        Reused,
        Run,
        RunChanged,
        RunDeleted,
        RunEnd,
        RunEvent,
        RunPage,
        RunsListed,
        SavedPipeline,
        SavedWorkspace,
        SecretNames,
        Step,
        StepCommand,
        StreamEnd,
        StreamKey,
        Summary,
    )
    from workbench.client.run_request import ArchiveSource, GitSource, RunRequest

__all__ = [
    "ArchiveSource",
    "Artifact",
    "Attempt",
    "AttemptTimes",
    "BacklogEnd",
    "Change",
    "Client",
    "ClientError",
    "Cluster",
    "CommandStarted",
    "ComponentHealth",
    "ConflictError",
    "CopyOf",
    "DamagedDownloadError",
    "Diagnostic",
    "FirstFailure",
    "ForbiddenError",
    "Frame",
    "GitSource",
    "Health",
    "InvalidError",
    "LinePart",
    "Lines",
    "LintResponse",
    "LogLine",
    "LogSummary",
    "Missed",
    "NotFoundError",
    "Pod",
    "Quota",
    "Reused",
    "Run",
    "RunChanged",
    "RunDeleted",
    "RunEnd",
    "RunEvent",
    "RunPage",
    "RunRequest",
    "RunsListed",
    "SavedPipeline",
    "SavedWorkspace",
    "SecretNames",
    "ServerError",
    "Step",
    "StepCommand",
    "StreamEnd",
    "StreamKey",
    "Summary",
    "UnauthorizedError",
    "UnreachableError",
]

# All other names are those of models.
_NAMES_BY_MODULE = {
    "workbench.client.client": ("Client",),
    "workbench.client.errors": (
        "ClientError",
        "ConflictError",
        "DamagedDownloadError",
        "ForbiddenError",
        "InvalidError",
        "NotFoundError",
        "ServerError",
        "UnauthorizedError",
        "UnreachableError",
    ),
    "workbench.client.run_request": ("ArchiveSource", "GitSource", "RunRequest"),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is used: a command that starts a sandbox needs no more than the address of its API."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES.get(name, "workbench.client.models")), name)
