"""Generates the CustomResourceDefinitions and roles that the controller needs.

`python -m controller.operator.manifests.generate` writes them beside this module, where the sandbox and an
installation read them; a test compares them with what the code generates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.pipeline.schema import structural_schema
from controller.run_types.schema import condition_schema, run_status_schema

Json = dict[str, Any]

GROUP, VERSION = "c8s.dev", "v1alpha1"
FOLDER = Path(__file__).parent
SYSTEM_NAMESPACE = "c8s-system"
SERVICE_ACCOUNT = "c8s-controller"
DEVELOPERS = "c8s:developers"

_STRING: Json = {"type": "string"}
_INT64: Json = {"type": "integer", "format": "int64"}


def _object(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _crd(plural: str, kind: str, short: str, spec: Json, status: Json, columns: list[Json]) -> Json:
    schema = _object({"spec": spec, "status": status}, "spec")
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "shortNames": [short]},
            "versions": [version],
        },
    }


def _column(name: str, path: str, kind: str = "string", **more: Any) -> Json:
    return {"name": name, "type": kind, "jsonPath": path, **more}


_AGE = _column("Age", ".metadata.creationTimestamp", "date")


def pipeline_config() -> Json:
    """A pipeline that lives in the cluster. Its name is the object's."""
    spec = structural_schema()
    spec["properties"].pop("name")
    spec["required"] = [field for field in spec.get("required", []) if field not in ("name", "version")]
    status = _object({"conditions": _list(condition_schema()), "observedGeneration": _INT64})
    columns = [_column("Repository", ".spec.repository"), _AGE]
    return _crd("pipelineconfigs", "PipelineConfig", "pc", spec, status, columns)


def pipeline_run() -> Json:
    """One run of a pipeline, with the definition frozen in it."""
    pipeline = structural_schema()
    immutable = {"rule": "self == oldSelf", "message": "a run's pipeline can't be changed"}
    pipeline["x-kubernetes-validations"] = [immutable]
    digest: Json = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
    archive = _object({"digest": digest, "contents": digest}, "digest")
    git = _object({"url": _STRING, "revision": _STRING, "submodules": {"type": "boolean"}, "secretRef": _STRING}, "url")
    kept = _object(
        {"run": _STRING, "number": _STRING, "step": _STRING, "attempt": {"type": "integer", "minimum": 1}},
        *("run", "step", "attempt"),
    )
    spec = _object(
        {
            "pipelineConfigRef": _object({"name": _STRING}, "name"),
            "pipeline": pipeline,
            "commit": _STRING,
            "branch": _STRING,
            "event": {"type": "string", "enum": ["push", "pull_request", "tag", "manual"]},
            "changedFiles": {**_list(_STRING), "maxItems": MAX_CHANGED_FILES},
            "params": {"type": "object", "additionalProperties": _STRING},
            "source": _object({"archive": archive, "git": git, "kept": kept}),
            "priority": {"type": "string", "enum": ["high", "normal", "low"]},
            "triggeredBy": _STRING,
            "rerunOf": _STRING,
            "reuseFrom": _STRING,
            "cancel": {"type": "boolean"},
        }
    )
    columns = [
        _column("Pipeline", ".spec.pipeline.name"),
        _column("Phase", ".status.phase"),
        _column("Steps", ".status.summary.progress"),
        _column("Branch", ".spec.branch"),
        _column("Message", ".status.message", priority=1),
        _AGE,
    ]
    return _crd("pipelineruns", "PipelineRun", "pr", spec, run_status_schema(), columns)


def repository_connection() -> Json:
    """Which repository's events start which pipeline."""
    reference = _object({"name": _STRING}, "name")
    spec = _object(
        {
            "repository": _STRING,
            "provider": {"type": "string", "enum": ["github", "gitlab", "bitbucket", "gitea", "forgejo"]},
            "webhookSecretRef": reference,
            "authSecretRef": reference,
            "pipelineConfigRef": reference,
        },
        "repository",
        "provider",
    )
    status = _object({"conditions": _list(condition_schema()), "observedGeneration": _INT64})
    columns = [_column("Repository", ".spec.repository"), _column("Provider", ".spec.provider"), _AGE]
    return _crd("repositoryconnections", "RepositoryConnection", "rc", spec, status, columns)


def _role(name: str, rules: list[Json]) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(role: str, subject: Json) -> Json:
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
    return _role(SERVICE_ACCOUNT, [*operator_rules(), *api_rules(), *lease_rules()])


def developer_role() -> Json:
    """The rights of a developer at the REST API, which checks exactly these with Kubernetes."""
    return _role(
        "c8s-developer",
        [
            _rule(GROUP, "pipelineruns", "get list watch create update delete"),
            _rule(GROUP, "pipelineruns/log pipelineruns/artifacts", "get"),
            _rule(GROUP, "pipelineconfigs", "get list watch update delete"),
            _rule("", "pods/exec", "create"),
            _rule("", "secrets", "list update delete"),
        ],
    )


def manifests() -> dict[str, Json]:
    """File name -> a List of objects. `crds` and `roles` serve any cluster, `rights` a sandbox on this machine."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "namespace": SYSTEM_NAMESPACE},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    developers = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": DEVELOPERS}
    bound = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": SYSTEM_NAMESPACE}
    crds = [pipeline_config(), pipeline_run(), repository_connection()]
    roles = [_role("c8s-operator", operator_rules()), _role("c8s-api", api_rules()), developer_role()]
    rights = [
        namespace,
        account,
        controller_role(),
        _binding(SERVICE_ACCOUNT, bound),
        _binding("c8s-developer", developers),
    ]
    return {
        name: {"apiVersion": "v1", "kind": "List", "items": items}
        for name, items in (("crds.json", crds), ("rights.json", rights), ("roles.json", roles))
    }


def render(document: Json) -> str:
    return json.dumps(document, indent=1) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, document in manifests().items():
        (FOLDER / name).write_text(render(document))


if __name__ == "__main__":
    main()
