"""The rights of the controller, its roles and the developers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Grant:
    """The right to some verbs on a resource, each with what it is used for.

    Attributes:
        resource: with its subresource, if any: `pods/log`.
        names: the only objects that the verbs are for; empty for all.
    """

    group: str
    resource: str
    uses: Mapping[str, str]
    names: tuple[str, ...] = ()

    def rule(self) -> Json:
        """The rule of a role."""
        rule = _rule(self.group, self.resource, " ".join(self.uses))
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


_REVIEWS = (
    Grant("authentication.k8s.io", "tokenreviews", {"create": "whose token a request has"}),
    Grant("authorization.k8s.io", "subjectaccessreviews", {"create": "what its user may do"}),
)
RUN_NUMBERS = "c8s-run-numbers"
LEADER_LEASE = "c8s-operator"
RECEIVER_ROLE = "c8s-webhook-secrets"
"""In each namespace with connections: the Secrets that the receiver may read."""
WEBHOOK_CONFIGURATION = "c8s"
ADMISSION_GROUP = "admissionregistration.k8s.io"
RBAC_GROUP = "rbac.authorization.k8s.io"

OPERATOR_GRANTS = (
    Grant("metrics.k8s.io", "pods", {"list": "what running steps use; without it, that is not shown"}),
    Grant(
        GROUP,
        "pipelineruns",
        {
            "get": "a run's latest version after a conflict; the run whose steps are reused",
            "list": "all runs, at the start",
            "watch": "their changes",
            "patch": "the finalizer, the copied definition, what was reported to a forge, cancellations in a group",
            "delete": "runs beyond the history limit",
        },
    ),
    Grant(GROUP, "pipelineruns/status", {"patch": "the status"}),
    Grant(GROUP, "pipelineconfigs", {"get": "the definition that a run refers to"}),
    Grant(
        GROUP,
        "repositoryconnections",
        {
            "get": "where to report the status of a run",
            "list": "which Secrets the receiver has to read, at the start",
            "watch": "their changes",
        },
    ),
    Grant(GROUP, "repositoryconnections/status", {"patch": "why a delivery's pipeline did not run"}),
    Grant(RBAC_GROUP, "roles", {"list": "those of the receiver in all namespaces", "create": "one in a namespace"}),
    Grant(
        RBAC_GROUP,
        "roles",
        {
            "get": "the Secrets that the receiver may read",
            "update": "those of the connections of today",
            "delete": "one of a namespace without connections",
        },
        (RECEIVER_ROLE,),
    ),
    Grant(RBAC_GROUP, "rolebindings", {"create": "the receiver's in a namespace"}),
    Grant(
        RBAC_GROUP,
        "rolebindings",
        {"get": "whether it binds the receiver", "delete": "one of a namespace without connections"},
        (RECEIVER_ROLE,),
    ),
    Grant(
        "batch",
        "jobs",
        {
            "get": "a Job that the cache does not show yet",
            "list": "the Jobs of all runs, at the start",
            "watch": "their changes",
            "create": "an attempt of a step",
            "patch": "the opening of a gate; their time to live, once the run has ended",
            "delete": "an attempt that is stopped before its pod runs, or was made ahead and is not needed",
        },
    ),
    Grant(
        "",
        "pods",
        {
            "get": "why a log has ended",
            "list": "the pods of all runs, at the start; those that no node can take",
            "watch": "their changes",
            "patch": "the deadline that stops a pod",
        },
    ),
    Grant("", "pods/log", {"get": "the logs of steps"}),
    Grant(
        "",
        "secrets",
        {
            "get": "the values that steps use",
            "create": "a run's copies of them, and the tokens of its agents",
            "delete": "the tokens of the agents of a run that has ended",
        },
    ),
    Grant(
        "",
        "events",
        {
            "get": "the count of an Event that occurs again",
            "list": "image pulls and Jobs whose pods can't be created; what an autoscaler does about a pod",
            "watch": "the same",
            "create": "the Events of runs",
            "patch": "their count",
        },
    ),
    Grant("", "configmaps", {"create": "the numbers of a namespace's runs"}),
    Grant("", "configmaps", {"get": "the last numbers", "update": "the next number"}, (RUN_NUMBERS,)),
    Grant("", "namespaces", {"get": "the uid, which the keys of sources contain; the queue of its Jobs"}),
    Grant(
        "secrets-store.csi.x-k8s.io",
        "secretproviderclasses",
        {"get": "whether a step may mount one, and all of it can be masked in logs"},
    ),
    Grant("kueue.x-k8s.io", "workloads", {"list": "why a queue of the cluster has not admitted a Job"}),
    Grant("", "nodes", {"list": "which resources a step can have, and the container runtime", "watch": "the same"}),
    *_REVIEWS,
)
"""What the role operator does in any namespace, and no more. Requests for metrics are authorized as at the API."""

API_GRANTS = (
    Grant(
        GROUP,
        "pipelineruns",
        {
            "get": "a run that the cache does not show yet",
            "list": "all runs, at the start; the run of an idempotency key",
            "watch": "their changes",
            "create": "create a run",
            "patch": "cancel or approve a run",
            "delete": "delete a run",
        },
    ),
    Grant(
        GROUP,
        "pipelineconfigs",
        {
            "get": "read a pipeline",
            "list": "list pipelines",
            "create": "set a pipeline",
            "update": "set a pipeline",
            "delete": "delete a pipeline",
        },
    ),
    Grant(
        GROUP,
        "repositoryconnections",
        {
            "get": "read a connection",
            "list": "list connections",
            "create": "set a connection",
            "update": "set a connection",
            "delete": "delete a connection",
        },
    ),
    Grant(GROUP, "repositoryconnections/status", {"patch": "a delivery that is handled again"}),
    Grant(
        "",
        "secrets",
        {
            "get": "whether a Secret is for pipelines",
            "list": "list secrets: names and keys",
            "create": "set a secret",
            "update": "set a secret",
            "delete": "delete a secret",
        },
    ),
    Grant("", "configmaps", {"create": "the numbers of a namespace's runs"}),
    Grant("", "configmaps", {"get": "the last numbers", "update": "the next number"}, (RUN_NUMBERS,)),
    Grant(ADMISSION_GROUP, "validatingwebhookconfigurations", {"create": "that of the admission webhook"}),
    Grant(
        ADMISSION_GROUP,
        "validatingwebhookconfigurations",
        {"get": "whether it is up to date", "update": "where the webhook is, and its certificate"},
        (WEBHOOK_CONFIGURATION,),
    ),
    Grant("", "nodes", {"list": "the state of the cluster"}),
    Grant(
        "",
        "namespaces",
        {"get": "the uid, which the keys of caches and sources contain", "list": "the state of the cluster"},
    ),
    Grant(
        "batch",
        "jobs",
        {
            "get": "a Job that the cache does not show yet, for the agent that waits at its gate",
            "list": "the Jobs of a step, which tell its pods from others",
            "watch": "the opening of gates, for the agents that wait there",
            "patch": "what the agent of a step reports of its begin and end",
        },
    ),
    Grant("", "pods", {"list": "a step's pod, for a shell in it; the state of a namespace"}),
    Grant("", "events", {"list": "the Events of a run"}),
    Grant("", "resourcequotas", {"list": "the state of a namespace"}),
    Grant(
        "secrets-store.csi.x-k8s.io",
        "secretproviderclasses",
        {"get": "whether a step may mount one, when a run or a pipeline is created"},
    ),
    Grant(
        "",
        "pods/exec",
        {"get": "a shell in a step, as clusters check it for WebSockets", "create": "the same, as newer clusters do"},
    ),
    *_REVIEWS,
)
"""What the role api does in any namespace, and no more. The caller's rights are checked for each request."""

WEBHOOK_GRANTS = (
    Grant(
        GROUP,
        "repositoryconnections",
        {"get": "a status before it is written", "list": "all connections, at the start", "watch": "their changes"},
    ),
    Grant(GROUP, "repositoryconnections/status", {"patch": "the last deliveries"}),
    Grant(GROUP, "pipelineconfigs", {"list": "the conditions of pipelines, at the start", "watch": "their changes"}),
    Grant(GROUP, "pipelineruns", {"create": "the run of a delivery"}),
    *_REVIEWS,
)
"""What the role webhook does in any namespace, and no more. Requests for metrics are authorized as at the API.

The Secrets that deliveries are signed with are named in a Role in each namespace, which the operator keeps.
"""

LEASE_GRANTS = (
    Grant(
        "coordination.k8s.io",
        "leases",
        {
            "get": "who leads, or holds a concurrency group",
            "list": "groups whose run is gone",
            "create": "the Lease of the leader, or of a group",
            "update": "take, renew or release one",
            "delete": "one of a group that is not used any more",
        },
    ),
)
"""What the operator does in its own namespace."""

LEADER_GRANTS = (Grant("coordination.k8s.io", "leases", {"get": "where the leader's logs are"}, (LEADER_LEASE,)),)
"""What the API does in its own namespace."""


def _rule(group: str, resources: str, verbs: str) -> Json:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def operator_rules() -> list[Json]:
    """The rules of the operator's role."""
    return [grant.rule() for grant in OPERATOR_GRANTS]


def api_rules() -> list[Json]:
    """The rules of the API's role."""
    return [grant.rule() for grant in API_GRANTS]


def webhook_rules() -> list[Json]:
    """The rules of the receiver's role."""
    return [grant.rule() for grant in WEBHOOK_GRANTS]


def lease_rules() -> list[Json]:
    """The rules of the operator's role in its own namespace."""
    return [grant.rule() for grant in LEASE_GRANTS]


def controller_role() -> Json:
    """All roles in one process, as in a sandbox on this machine."""
    return cluster_role(SERVICE_ACCOUNT, [*operator_rules(), *api_rules(), *webhook_rules(), *lease_rules()])


def render_table() -> str:
    """The rights of operator and API with the use of each, as Markdown."""
    sections = (
        ("The operator, in all namespaces", OPERATOR_GRANTS),
        ("The operator, in its own namespace", LEASE_GRANTS),
        ("The API, in all namespaces", API_GRANTS),
        ("The webhook receiver, in all namespaces", WEBHOOK_GRANTS),
        ("The API, in its own namespace", LEADER_GRANTS),
    )
    parts = []
    for title, grants in sections:
        rows = [f"| `{_qualified(grant)}` | `{verb}` | {use} |" for grant in grants for verb, use in grant.uses.items()]
        parts.append("\n".join([f"## {title}", "", "| resource | verb | used for |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts)


def _qualified(grant: Grant) -> str:
    resource, slash, subresource = grant.resource.partition("/")
    named = f" {', '.join(grant.names)}" if grant.names else ""
    return f"{resource}{f'.{grant.group}' if grant.group else ''}{slash}{subresource}{named}"


def developer_role() -> Json:
    """The rights of a developer at the REST API, which checks exactly these with Kubernetes.

    `secrets.c8s.dev`, like `pipelineruns/log`, `artifacts` and `approval`, is a resource that only the API knows:
    Kubernetes serves nothing under that name. `list` on core Secrets would return every value.
    """
    return cluster_role(
        "c8s-developer",
        [
            _rule(GROUP, "pipelineruns", "get list watch create update delete"),
            _rule(GROUP, "pipelineruns/log pipelineruns/artifacts", "get"),
            _rule(GROUP, "pipelineruns/approval", "update"),
            _rule(GROUP, "pipelineconfigs", "get list watch update delete"),
            _rule(GROUP, "repositoryconnections", "get list watch update delete"),
            _rule("", "pods/exec", "create"),
            _rule(GROUP, "secrets", "list update delete"),
        ],
    )


def viewer_role() -> Json:
    """The rights of someone who follows runs at the REST API and changes nothing: no shell, no names of secrets."""
    return cluster_role(
        "c8s-viewer",
        [
            _rule(GROUP, "pipelineruns", "get list watch"),
            _rule(GROUP, "pipelineruns/log pipelineruns/artifacts", "get"),
            _rule(GROUP, "pipelineconfigs", "get list watch"),
            _rule(GROUP, "repositoryconnections", "get list watch"),
        ],
    )
