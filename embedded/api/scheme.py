"""Resource types: the built-in ones, and the registry of those that are served."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass, field
from typing import Any

from embedded.types import JsonObject

_ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CREATE_ONLY = ("create",)
_SUBRESOURCE_VERBS = {
    "status": ("get", "patch", "update"),
    "log": ("get",),
    "exec": ("create", "get"),
    "attach": ("create", "get"),
    "token": ("create",),
    "eviction": ("create",),
    "finalize": ("update",),
    "scale": ("get", "patch", "update"),
}
"""The verbs of each subresource."""


@dataclass(frozen=True)
class Column:
    """A printer column of a custom resource: `path` is a JSONPath; `-o wide` shows those with a priority above 0."""

    name: str
    type: str
    path: str
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class ScalePaths:
    """The fields of a custom resource that its scale subresource shows; `selector_path` may be empty."""

    spec_path: str
    status_path: str
    selector_path: str = ""


@dataclass(frozen=True)
class ResourceType:
    """A resource that the API serves, in one version.

    `schema` is the structural schema of a custom resource, None for built-ins.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    verbs: tuple[str, ...] = _ALL_VERBS
    schema: JsonObject | None = field(default=None, hash=False, compare=False)
    columns: tuple[Column, ...] = ()
    list_kind: str = ""
    selectable_fields: tuple[str, ...] = ()
    """The fields to select by beyond those that its `key` has; of a custom resource, its `selectableFields`."""
    needs_conversion: bool = False
    """Objects may be stored in another version of the resource."""
    scale: ScalePaths | None = None
    """The fields of the scale subresource, if there is one."""
    stored_as: str = ""
    """The `key` of the resource that has the same objects, where it is another one."""
    terminating: bool = field(default=False, compare=False)
    """The definition is being deleted: objects can be deleted but not created."""

    @property
    def key(self) -> str:
        """`plural.group`, or `plural` for the core group: the name in the store and in store events."""
        return self.stored_as or (f"{self.plural}.{self.group}" if self.group else self.plural)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def effective_list_kind(self) -> str:
        return self.list_kind or f"{self.kind}List"

    def verbs_for(self, subresource: str) -> tuple[str, ...]:
        """The verbs of the resource, or of one of its subresources."""
        return _SUBRESOURCE_VERBS[subresource] if subresource else self.verbs

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names one object. `namespace` is None for a cluster-scoped resource."""

    resource: ResourceType
    namespace: str | None
    name: str


def _core(plural: str, kind: str, **options: Any) -> ResourceType:
    return ResourceType("", "v1", plural, kind, singular=kind.lower(), **options)


def _rbac(plural: str, kind: str, namespaced: bool) -> ResourceType:
    return ResourceType("rbac.authorization.k8s.io", "v1", plural, kind, namespaced, singular=kind.lower())


def _review(group: str, plural: str, kind: str, namespaced: bool = False) -> ResourceType:
    return ResourceType(group, "v1", plural, kind, namespaced, kind.lower(), verbs=_CREATE_ONLY)


_STATUS = frozenset({"status"})
NAMESPACES = _core(
    "namespaces",
    "Namespace",
    namespaced=False,
    short_names=("ns",),
    subresources=frozenset({"finalize", "status"}),
    verbs=tuple(verb for verb in _ALL_VERBS if verb != "deletecollection"),
)
CONFIG_MAPS = _core("configmaps", "ConfigMap", short_names=("cm",))
SECRETS = _core("secrets", "Secret")
EVENTS = _core("events", "Event", short_names=("ev",))
EVENTS_V1 = ResourceType(
    "events.k8s.io",
    "v1",
    "events",
    "Event",
    singular="event",
    short_names=("ev",),
    needs_conversion=True,
    selectable_fields=(
        *("regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid"),
        *("regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath", "reportingController"),
    ),
    stored_as=EVENTS.key,
)
"""The same events as `EVENTS`, with other names of fields."""
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", short_names=("sa",), subresources=frozenset({"token"}))
_POD_SUBRESOURCES = frozenset({"status", "log", "exec", "attach", "eviction"})
PODS = _core("pods", "Pod", short_names=("po",), categories=("all",), subresources=_POD_SUBRESOURCES)
NODES = _core("nodes", "Node", namespaced=False, short_names=("no",), subresources=_STATUS)
JOBS = ResourceType("batch", "v1", "jobs", "Job", singular="job", categories=("all",), subresources=_STATUS)
RESOURCE_QUOTAS = _core("resourcequotas", "ResourceQuota", short_names=("quota",), subresources=_STATUS)
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease", singular="lease")
CUSTOM_RESOURCE_DEFINITIONS = ResourceType(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    subresources=_STATUS,
)
ROLES = _rbac("roles", "Role", True)
CLUSTER_ROLES = _rbac("clusterroles", "ClusterRole", False)
ROLE_BINDINGS = _rbac("rolebindings", "RoleBinding", True)
CLUSTER_ROLE_BINDINGS = _rbac("clusterrolebindings", "ClusterRoleBinding", False)
RBAC_RESOURCES = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)
VALIDATING_WEBHOOKS = ResourceType(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
    singular="validatingwebhookconfiguration",
    categories=("api-extensions",),
)
TOKEN_REVIEWS = _review("authentication.k8s.io", "tokenreviews", "TokenReview")
SELF_SUBJECT_REVIEWS = _review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview")
SUBJECT_ACCESS_REVIEWS = _review("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview")
SELF_SUBJECT_ACCESS_REVIEWS = _review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
LOCAL_SUBJECT_ACCESS_REVIEWS = _review(
    "authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True
)
SELF_SUBJECT_RULES_REVIEWS = _review("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview")

BUILT_IN: tuple[ResourceType, ...] = (
    NAMESPACES,
    CONFIG_MAPS,
    SECRETS,
    EVENTS,
    EVENTS_V1,
    SERVICE_ACCOUNTS,
    PODS,
    NODES,
    JOBS,
    RESOURCE_QUOTAS,
    LEASES,
    CUSTOM_RESOURCE_DEFINITIONS,
    *RBAC_RESOURCES,
    VALIDATING_WEBHOOKS,
    TOKEN_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
)

_GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "i386": "386",
    "i686": "386",
    "loongarch64": "loong64",
}


def go_architecture(machine: str) -> str:
    """A machine type of `uname` by the name that Go, and so Kubernetes and images, have for it (GOARCH)."""
    return _GO_ARCHITECTURES.get(machine.lower(), machine.lower())


SERVER_VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2+embedded",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "cpython",
    "platform": f"{sys.platform}/{go_architecture(platform.machine())}",
}


class Scheme:
    """The resource types that are served at the moment."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], ResourceType] = {}
        self._by_key: dict[str, ResourceType] = {}
        for resource in BUILT_IN:
            self.add(resource)

    def add(self, resource: ResourceType) -> None:
        self._by_path[resource.group, resource.version, resource.plural] = resource
        if not resource.stored_as:
            self._by_key[resource.key] = resource

    def remove(self, key: str) -> None:
        for path, resource in list(self._by_path.items()):
            if resource.key == key:
                del self._by_path[path]
        self._by_key.pop(key, None)

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        return self._by_path.get((group, version, plural))

    def by_key(self, key: str) -> ResourceType | None:
        return self._by_key.get(key)

    def by_kind(self, api_version: str, kind: str) -> ResourceType | None:
        for resource in self._by_path.values():
            if resource.kind == kind and resource.api_version == api_version:
                return resource
        return None

    def all(self) -> tuple[ResourceType, ...]:
        return tuple(self._by_path.values())

    def group_versions(self) -> dict[str, list[str]]:
        """Maps each group to its versions, the preferred one first; the core group is `""`."""
        groups: dict[str, list[str]] = {}
        for group, version, _ in self._by_path:
            versions = groups.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        for versions in groups.values():
            versions.sort(key=_version_priority, reverse=True)
        return groups


def _version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key that orders versions by preference: v2, v1, v1beta2, v1alpha1, others."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (-1, 0, 0, "".join(chr(0x10FFFF - ord(letter)) for letter in version))
    stage = {None: 2, "beta": 1, "alpha": 0}[match.group(2)]
    return (stage, int(match.group(1)), int(match.group(3) or 0), "")
