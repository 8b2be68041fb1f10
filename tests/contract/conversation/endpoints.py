"""The endpoints of kube-apiserver 1.36 that the controller may use, and the query parameters that each one knows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote

import controller.operator.manifests as manifests
from tests.contract.conversation import formats

_READ = frozenset({"pretty", "resourceVersion"})
_WRITE = frozenset({"pretty", "dryRun", "fieldManager", "fieldValidation"})
_LIST = frozenset(
    {
        *("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "pretty"),
        *("watch", "allowWatchBookmarks", "sendInitialEvents", "timeoutSeconds"),
    }
)
_DELETE = frozenset(
    {
        *("pretty", "dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"),
        "ignoreStoreReadErrorWithClusterBreakingPotential",
    }
)
_LOG = frozenset(
    {
        *("container", "follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes"),
        *("insecureSkipTLSVerifyBackend", "stream", "pretty"),
    }
)
_EXEC = frozenset({"command", "container", "stdin", "stdout", "stderr", "tty"})
_POD_SELECTABLE = frozenset(
    {
        *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
        *("status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
    }
)
_EVENT_SELECTABLE = frozenset(
    {
        *(f"involvedObject.{part}" for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")),
        *("involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"),
    }
)


@dataclass(frozen=True)
class Kind:
    """A kind of object, and what of it can be requested."""

    group: str
    version: str
    kind: str
    namespaced: bool = True
    subresources: frozenset[str] = frozenset()
    selectable: frozenset[str] = frozenset()
    create_only: bool = False
    schema: dict[str, Any] | None = field(default=None, compare=False)
    """The structural schema of a custom resource."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Endpoint:
    """What the path of a request names."""

    kind: Kind
    namespace: str | None
    name: str | None
    subresource: str | None

    def methods(self) -> frozenset[str]:
        if self.subresource in ("exec", "attach", "log"):
            return frozenset({"GET"} if self.subresource == "log" else {"GET", "POST"})
        if self.subresource in ("token", "eviction") or self.kind.create_only:
            return frozenset({"POST"})
        if self.subresource is not None:
            return frozenset({"GET", "PUT", "PATCH"})
        return frozenset({"GET", "PUT", "PATCH", "DELETE"} if self.name else {"GET", "POST", "DELETE"})

    def parameters(self, method: str) -> frozenset[str]:
        """The query parameters that the endpoint knows; a real server ignores others in silence."""
        if self.subresource == "log":
            return _LOG
        if self.subresource in ("exec", "attach"):
            return _EXEC if self.subresource == "exec" else _EXEC - {"command"}
        if method == "GET":
            return _READ if self.name else _LIST
        if method == "DELETE":
            return _DELETE if self.name else _DELETE | _LIST
        return _WRITE | {"force"} if method == "PATCH" else _WRITE


@cache
def _kinds() -> dict[tuple[str, str, str], Kind]:
    status = frozenset({"status"})
    found = {
        "pods": Kind("", "v1", "Pod", True, status | {"log", "exec", "attach", "eviction"}, _POD_SELECTABLE),
        "secrets": Kind("", "v1", "Secret", selectable=frozenset({"type"})),
        "configmaps": Kind("", "v1", "ConfigMap"),
        "events": Kind("", "v1", "Event", selectable=_EVENT_SELECTABLE),
        "serviceaccounts": Kind("", "v1", "ServiceAccount", True, frozenset({"token"})),
        "resourcequotas": Kind("", "v1", "ResourceQuota", True, status),
        "services": Kind("", "v1", "Service", True, status),
        "nodes": Kind("", "v1", "Node", False, status, frozenset({"spec.unschedulable"})),
        "namespaces": Kind("", "v1", "Namespace", False, status, frozenset({"status.phase"})),
        "jobs": Kind("batch", "v1", "Job", True, status, frozenset({"status.successful"})),
        "leases": Kind("coordination.k8s.io", "v1", "Lease"),
        "tokenreviews": Kind("authentication.k8s.io", "v1", "TokenReview", False, create_only=True),
        "subjectaccessreviews": Kind("authorization.k8s.io", "v1", "SubjectAccessReview", False, create_only=True),
    }
    group = "admissionregistration.k8s.io"
    found["validatingwebhookconfigurations"] = Kind(group, "v1", "ValidatingWebhookConfiguration", False)
    rbac = {"roles": True, "rolebindings": True, "clusterroles": False, "clusterrolebindings": False}
    names = {"roles": "Role", "rolebindings": "RoleBinding"}
    names |= {"clusterroles": "ClusterRole", "clusterrolebindings": "ClusterRoleBinding"}
    for plural, namespaced in rbac.items():
        found[plural] = Kind("rbac.authorization.k8s.io", "v1", names[plural], namespaced)
    found["customresourcedefinitions"] = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", False, status)
    kinds = {(kind.group, kind.version, plural): kind for plural, kind in found.items()} | dict(_custom_kinds())
    # Of metrics-server, an aggregated API: the controller does without it where it is not installed.
    return kinds | {("metrics.k8s.io", "v1beta1", "pods"): Kind("metrics.k8s.io", "v1beta1", "PodMetrics")}


def _custom_kinds() -> list[tuple[tuple[str, str, str], Kind]]:
    definitions = json.loads((formats.folder_of(manifests) / "crds.json").read_text())["items"]
    found = []
    for definition in definitions:
        spec = definition["spec"]
        for version in spec["versions"]:
            fields = frozenset(each["jsonPath"].lstrip(".") for each in version.get("selectableFields") or ())
            kind = Kind(
                spec["group"],
                version["name"],
                spec["names"]["kind"],
                spec["scope"] == "Namespaced",
                frozenset(version.get("subresources") or ()),
                fields,
                schema=version["schema"]["openAPIV3Schema"],
            )
            found.append(((spec["group"], version["name"], spec["names"]["plural"]), kind))
    return found


def resolve(path: str) -> Endpoint | str:
    """The endpoint of a path, or why there is none."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, (version, *rest) = "", parts[1:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return "there is no such path"
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = _kinds().get((group, version, rest[0]))
    if kind is None:
        return f"{rest[0]} of {group or 'core'}/{version} is not among the resources that the controller may use"
    name, subresource = [*rest[1:], None, None][:2]
    if len(rest) > 3 or (subresource and subresource not in kind.subresources):
        return f"{kind.kind} has no subresource {'/'.join(rest[2:])}"
    if kind.namespaced and namespace is None and (name or kind.create_only):
        return f"a {kind.kind} is in a namespace, and the path names none"
    if not kind.namespaced and namespace is not None:
        return f"a {kind.kind} is in no namespace, and the path names one"
    return Endpoint(kind, namespace, name, subresource)
