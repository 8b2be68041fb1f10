"""The rights of the controller, its roles and the developers."""

from __future__ import annotations

from typing import Any

from controller.operator.manifests.crds import GROUP

Json = dict[str, Any]

SYSTEM_NAMESPACE = "c8s-system"
SERVICE_ACCOUNT = "c8s-controller"
DEVELOPERS = "c8s:developers"


def cluster_role(name: str, rules: list[Json]) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def cluster_role_binding(role: str, subject: Json) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def _rule(group: str, resources: str, verbs: str) -> Json:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def operator_rules() -> list[Json]:
    """What the role operator does in any namespace, and no more. Its Lease is a matter of its own namespace."""
    return [
        _rule(GROUP, "pipelineruns", "get list watch patch delete"),
        _rule(GROUP, "pipelineruns/status", "patch"),
        _rule(GROUP, "pipelineconfigs", "get list watch"),
        _rule("batch", "jobs", "get list watch create patch delete"),
        _rule("", "pods", "get list watch patch"),
        _rule("", "pods/log", "get"),
        _rule("", "secrets", "get create"),
        _rule("", "events", "get list watch create patch"),
        _rule("", "nodes", "get list watch"),
        # Requests for metrics at its own port are authenticated and authorized, as at the API.
        _rule("authentication.k8s.io", "tokenreviews", "create"),
        _rule("authorization.k8s.io", "subjectaccessreviews", "create"),
    ]


def api_rules() -> list[Json]:
    """What the role api does in any namespace, and no more. The caller's rights are checked for each request."""
    return [
        _rule(GROUP, "pipelineruns", "get list watch create update patch delete"),
        _rule(GROUP, "pipelineconfigs", "get list watch create update delete"),
        _rule("", "secrets", "get list create update delete"),
        _rule("", "configmaps", "get create update"),
        _rule("", "nodes namespaces", "get list watch"),
        _rule("", "pods events resourcequotas", "list"),
        _rule("", "pods/exec", "get create"),
        _rule("authentication.k8s.io", "tokenreviews", "create"),
        _rule("authorization.k8s.io", "subjectaccessreviews", "create"),
    ]


def lease_rules() -> list[Json]:
    """What the operator does with its Lease and those of concurrency groups, in its own namespace."""
    return [_rule("coordination.k8s.io", "leases", "get list create update delete")]


def controller_role() -> Json:
    """Both roles in one process, as in a sandbox on this machine."""
    return cluster_role(SERVICE_ACCOUNT, [*operator_rules(), *api_rules(), *lease_rules()])


def developer_role() -> Json:
    """The rights of a developer at the REST API, which checks exactly these with Kubernetes.

    `secrets.c8s.dev`, like `pipelineruns/log` and `pipelineruns/artifacts`, is a resource that only the API knows:
    Kubernetes serves nothing under that name. `list` on core Secrets would return every value.
    """
    return cluster_role(
        "c8s-developer",
        [
            _rule(GROUP, "pipelineruns", "get list watch create update delete"),
            _rule(GROUP, "pipelineruns/log pipelineruns/artifacts", "get"),
            _rule(GROUP, "pipelineconfigs", "get list watch update delete"),
            _rule("", "pods/exec", "create"),
            _rule(GROUP, "secrets", "list update delete"),
        ],
    )
