"""What each operation of the API requires of its caller: one table, by operation id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from controller.api.auth.authenticator import resource_name

GROUP = "c8s.dev"
HANDLER_TIMEOUT = 30.0
MANIFEST_TIMEOUT = 120.0


@dataclass(frozen=True)
class Permission:
    """What a call requires.

    `kind`: `public` (health only); `user` (a valid token); `review` (a valid token and the permission to `verb`
    the resource in the namespace of the path); `path` (the permission to `get` the URL path, as Kubernetes guards
    its own metrics); `capability` (a run's token, checked in `routes/agent`); `link` (a signed URL, checked in
    `routes/objects.py`). `named` says whether the name in the path is the resource's. `timeout` bounds the handler,
    in seconds; None where the handler bounds its own transfers.
    """

    kind: Literal["public", "user", "review", "path", "capability", "link"]
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    group: str = GROUP
    timeout: float | None = HANDLER_TIMEOUT
    named: bool = True

    def describe(self) -> str:
        """The requirement in words, for the OpenAPI document."""
        match self.kind:
            case "public":
                return "nothing"
            case "user":
                return "a valid token"
            case "review":
                what = resource_name(self.resource, self.subresource, self.group)
                return f"the right to {self.verb} {what} in the namespace"
            case "path":
                return f"the right to {self.verb} this path"
            case "capability":
                return "the capability token of an agent"
        return "a valid signature"


def _runs(verb: str, subresource: str = "", seconds: float | None = HANDLER_TIMEOUT) -> Permission:
    return Permission("review", verb, "pipelineruns", subresource, timeout=seconds)


def _secrets(verb: str) -> Permission:
    # A virtual resource: a right on core Secrets would let the caller read every value from Kubernetes itself.
    return Permission("review", verb, "secrets")


def _pipelines(verb: str) -> Permission:
    return Permission("review", verb, "pipelineconfigs")


def _connections(verb: str) -> Permission:
    return Permission("review", verb, "repositoryconnections")


PERMISSIONS: Mapping[str, Permission] = {
    "health": Permission("public"),
    "ready": Permission("public"),
    "metrics": Permission("path", "get"),
    "openapi": Permission("user"),
    "lint": Permission("user"),
    "cluster": Permission("user"),
    "createTicket": Permission("user"),
    "headSource": _runs("create"),
    "putSource": _runs("create", seconds=None),
    "putSourceDelta": _runs("create", seconds=None),
    "listRuns": _runs("list"),
    "createRun": _runs("create"),
    "rerunRun": Permission("review", "create", "pipelineruns", named=False),
    "copyStep": Permission("review", "create", "pipelineruns", named=False),
    "listRunEvents": _runs("get"),
    "getRun": _runs("get"),
    "deleteRun": _runs("delete"),
    "cancelRun": _runs("update"),
    "approveRun": _runs("update", "approval"),
    "setBreakpoints": _runs("update"),
    "continueStep": _runs("update"),
    "watchRuns": _runs("watch"),
    "explainStep": _runs("get"),
    "getLogs": _runs("get", "log"),
    "listCommands": _runs("get", "log"),
    "streamLogs": _runs("get", "log", seconds=None),
    "listTests": _runs("get", "log"),
    "getTestHistory": _runs("get", "log"),
    "listStatistics": _runs("list"),
    "getStatistics": _runs("list"),
    "listArtifacts": _runs("get", "artifacts"),
    "getArtifacts": _runs("get", "artifacts"),
    "getArtifactFile": _runs("get", "artifacts", seconds=None),
    "execStep": Permission("review", "create", "pods", "exec", group="", timeout=None, named=False),
    "listPipelines": _pipelines("list"),
    "getPipeline": _pipelines("get"),
    "putPipeline": _pipelines("update"),
    "deletePipeline": _pipelines("delete"),
    "listConnections": _connections("list"),
    "getConnection": _connections("get"),
    "putConnection": _connections("update"),
    "deleteConnection": _connections("delete"),
    "deliverPayload": Permission("review", "create", "pipelineruns", named=False),
    "replayDelivery": Permission("review", "create", "pipelineruns", named=False),
    "namespaceCluster": _runs("list"),
    "listSecrets": _secrets("list"),
    "putSecret": _secrets("update"),
    "deleteSecret": _secrets("delete"),
    "agentSource": Permission("capability"),
    "agentSourceUpload": Permission("capability"),
    "agentSourceManifest": Permission("capability"),
    "agentCacheLookup": Permission("capability"),
    "agentCacheUpload": Permission("capability"),
    "agentCacheManifest": Permission("capability"),
    "agentWorkspace": Permission("capability"),
    "agentWorkspaceUpload": Permission("capability"),
    "agentWorkspaceManifest": Permission("capability"),
    "agentReport": Permission("capability"),
    "agentTests": Permission("capability", timeout=MANIFEST_TIMEOUT),
    "agentFailedTests": Permission("capability"),
    "agentGate": Permission("capability"),
    "agentArtifacts": Permission("capability"),
    "agentUpload": Permission("capability"),
    "agentManifest": Permission("capability", timeout=MANIFEST_TIMEOUT),
    "getObject": Permission("link"),
    "putObject": Permission("link", timeout=None),
}


class MissingPermissionError(Exception):
    """A route has no permission: give its operation id an entry in `PERMISSIONS`."""


def permission_for(operation: str | None) -> Permission:
    """The permission of an operation. Raises MissingPermissionError."""
    if operation is None or operation not in PERMISSIONS:
        raise MissingPermissionError(f"route {operation!r} has no entry in controller.api.auth.permissions.PERMISSIONS")
    return PERMISSIONS[operation]
