"""The CustomResourceDefinitions of c8s.dev."""

from __future__ import annotations

from typing import Any

from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.pipeline.schema import structural_schema
from controller.run_types.schema import condition_schema, run_status_schema

Json = dict[str, Any]

GROUP, VERSION = "c8s.dev", "v1alpha1"
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
