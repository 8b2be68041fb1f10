"""The CustomResourceDefinitions of c8s.dev."""

from __future__ import annotations

from typing import Any

from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.pipeline.model import MAX_STEPS
from controller.pipeline.schema import structural_schema
from controller.run_types import patterns
from controller.run_types.patterns import PROVIDERS
from controller.run_types.schema import condition_schema, run_status_schema

Json = dict[str, Any]

GROUP, VERSION = "c8s.dev", "v1alpha1"
_STRING: Json = {"type": "string"}
_INT64: Json = {"type": "integer", "format": "int64"}


def text(pattern: str, max_length: int, **more: Any) -> Json:
    """A text that matches the pattern, of at most so many characters."""
    return {"type": "string", "pattern": pattern, "maxLength": max_length, **more}


_NAME = text(patterns.NAME_PATTERN, patterns.MAX_NAME_LENGTH)
_UID = text(patterns.UID_PATTERN, patterns.MAX_UID_LENGTH)
_SHORT_TEXT = text(patterns.SHORT_TEXT_PATTERN, patterns.MAX_SHORT_TEXT_LENGTH)
_FILE_NAME = text(patterns.FILE_NAME_PATTERN, patterns.MAX_FILE_NAME_LENGTH, minLength=1)
_PROVIDER: Json = {"type": "string", "enum": list(PROVIDERS)}
_DIGEST: Json = {"type": "string", "pattern": patterns.DIGEST_PATTERN}


def object_schema(properties: Json, *required: str) -> Json:
    """An object with these fields."""
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def crd(plural: str, kind: str, short: str, spec: Json, status: Json, columns: list[Json]) -> Json:
    """The CustomResourceDefinition of a kind, with its status as a subresource."""
    schema = object_schema({"spec": spec, "status": status}, "spec")
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


def root_schema(definition: Json) -> Json:
    """The schema of whole objects of a definition."""
    schema: Json = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def rule(rule: str, message: str) -> Json:
    """A CEL rule. One with `oldSelf` holds for updates only."""
    return {"rule": rule, "message": message}


def column(name: str, path: str, kind: str = "string", **more: Any) -> Json:
    """A column of what kubectl prints."""
    return {"name": name, "type": kind, "jsonPath": path, **more}


AGE = column("Age", ".metadata.creationTimestamp", "date")


def pipeline_config() -> Json:
    """A pipeline that lives in the cluster. Its name is the object's; `spec` may repeat it, as a file has it."""
    spec = structural_schema()
    spec["required"] = [field for field in spec["required"] if field != "name"]
    status = object_schema({"conditions": _list(condition_schema()), "observedGeneration": _INT64})
    columns = [column("Repository", ".spec.repository"), AGE]
    found = crd("pipelineconfigs", "PipelineConfig", "pc", spec, status, columns)
    root_schema(found)["x-kubernetes-validations"] = [
        name_rule("PipelineConfig"),
        rule(
            "!has(self.spec.name) || has(self.status) || self.spec.name == self.metadata.name",
            "spec.name must be the object's name, or absent",
        ),
    ]
    return found


_HOLD: Json = {"type": "string", "enum": ["before", "after", "failed"], "default": "before"}
_IMMUTABLE_FIELDS = (
    *("pipelineConfigRef", "pipelineFrom", "pipelineFile", "trigger"),
    *("commit", "branch", "event", "params", "source", "priority"),
    *("triggeredBy", "rerunOf", "rerunOfUid", "reuseFrom", "reuseFromUid", "verifyInputs", "reuse", "watch"),
    "failedTests",
)
"""Fields of a run's spec that never change.

`pipeline` is filled in once, together with `changedFiles` if they come from the repository; `cancel` becomes true once.
"""


def pipeline_run() -> Json:
    """One run of a pipeline, with the definition frozen in it.

    What the REST API refuses is refused here too, as far as a schema and CEL can express it: runs may be created with
    kubectl. Rules on a run's creation hold only until it has a status, so that they never prevent a status update.
    """
    spec = _run_spec()
    spec["x-kubernetes-validations"] = _run_rules()
    columns = [
        column("Pipeline", ".spec.pipeline.name"),
        column("Phase", ".status.phase"),
        column("Steps", ".status.summary.progress"),
        column("Branch", ".spec.branch"),
        column("Message", ".status.message", priority=1),
        AGE,
    ]
    found = crd("pipelineruns", "PipelineRun", "pr", spec, run_status_schema(), columns)
    root_schema(found)["x-kubernetes-validations"] = [name_rule("PipelineRun")]
    return found


def _run_spec() -> Json:
    """The fields of a run's spec."""
    return object_schema(
        {
            "pipelineConfigRef": object_schema({"name": _NAME}, "name"),
            "pipeline": structural_schema(),
            "pipelineFrom": {"type": "string", "enum": ["repository"]},
            "pipelineFile": text(patterns.FILE_NAME_PATTERN, 255, minLength=1),
            "trigger": _trigger(),
            "commit": _SHORT_TEXT,
            "branch": _SHORT_TEXT,
            "event": {"type": "string", "enum": ["push", "pull_request", "tag", "manual"]},
            "changedFiles": {**_list(_FILE_NAME), "maxItems": MAX_CHANGED_FILES},
            "params": {
                "type": "object",
                "additionalProperties": text(patterns.PARAM_VALUE_PATTERN, patterns.MAX_PARAM_VALUE_LENGTH),
                "maxProperties": patterns.MAX_PARAMS,
            },
            "source": _source(),
            "priority": {"type": "string", "enum": ["high", "normal", "low"]},
            "triggeredBy": _SHORT_TEXT,
            "rerunOf": _NAME,
            "rerunOfUid": _UID,
            "reuseFrom": _NAME,
            "reuseFromUid": _UID,
            "approved": object_schema({"by": _SHORT_TEXT, "proof": _SHORT_TEXT}, "by", "proof"),
            "cancel": {"type": "boolean"},
            "prestart": {"type": "integer", "minimum": 0, "maximum": patterns.MAX_PRESTART},
            "verifyInputs": {"type": "boolean"},
            "reuse": {"type": "boolean"},
            "watch": {"type": "boolean"},
            "failedTests": _failed_tests(),
            "breakpoints": {
                **_list(
                    object_schema({"step": text(patterns.FILE_NAME_PATTERN, 255, minLength=1), "at": _HOLD}, "step")
                ),
                "maxItems": patterns.MAX_BREAKPOINTS,
            },
        }
    )


def _run_rules() -> list[Json]:
    """What has to hold between them, and which of them may change."""
    return [
        rule(
            "has(self.pipeline) || has(self.pipelineConfigRef) || has(self.pipelineFrom)",
            "give either pipeline, pipelineConfigRef or pipelineFrom",
        ),
        rule(
            "!has(self.pipelineFrom) || !has(self.pipelineConfigRef) && has(self.source) && has(self.source.git)",
            "a run with pipelineFrom needs source.git, and has no pipelineConfigRef",
        ),
        rule(
            "has(self.changedFiles) == has(oldSelf.changedFiles)"
            " && (!has(self.changedFiles) || self.changedFiles == oldSelf.changedFiles)"
            " || has(self.pipelineFrom) && !has(oldSelf.pipeline) && !has(oldSelf.changedFiles)",
            "a run's changedFiles can't be changed",
        ),
        rule(
            "!has(oldSelf.pipeline) || has(self.pipeline) && self.pipeline == oldSelf.pipeline",
            "a run's pipeline can't be changed",
        ),
        *(
            rule(
                f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
                f"a run's {field} can't be changed",
            )
            for field in _IMMUTABLE_FIELDS
        ),
        rule(
            "!has(oldSelf.cancel) || !oldSelf.cancel || has(self.cancel) && self.cancel",
            "a cancellation can't be taken back",
        ),
    ]


def _failed_tests() -> Json:
    step = object_schema(
        {"step": _NAME, "attempt": {"type": "integer", "minimum": 1, "maximum": patterns.MAX_ATTEMPT}},
        *("step", "attempt"),
    )
    steps = {**_list(step), "maxItems": MAX_STEPS}
    return object_schema({"run": _NAME, "uid": _UID, "steps": steps}, "run", "uid", "steps")


def _trigger() -> Json:
    return object_schema(
        {
            "base": text(patterns.COMMIT_PATTERN, 64),
            "pullRequest": {"type": "integer", "minimum": 1, "maximum": patterns.MAX_RUN_NUMBER},
            "message": text(patterns.FILE_NAME_PATTERN, 4096),
            "connection": _NAME,
            "connectionUid": _UID,
            "provider": _PROVIDER,
            "delivery": _SHORT_TEXT,
            "sender": _SHORT_TEXT,
            "fork": {"type": "boolean"},
            "needsApproval": {"type": "boolean"},
        }
    )


def _source() -> Json:
    archive = object_schema({"digest": _DIGEST, "contents": _DIGEST, "pipelineFile": _FILE_NAME}, "digest")
    git = object_schema(
        {
            "url": text(patterns.GIT_URL_PATTERN, patterns.MAX_GIT_URL_LENGTH),
            "revision": text(patterns.GIT_REVISION_PATTERN, patterns.MAX_SHORT_TEXT_LENGTH),
            "submodules": {"type": "boolean"},
            "secretRef": text(patterns.SUBDOMAIN_PATTERN, patterns.MAX_SUBDOMAIN_LENGTH),
            "ref": text(patterns.GIT_REF_PATTERN, patterns.MAX_SHORT_TEXT_LENGTH),
        },
        "url",
    )
    git["x-kubernetes-validations"] = [
        rule(
            "!self.url.matches('^https?://[^/]*@') && !self.url.matches('^[a-z]+://[^/@]*:[^/@]*@')",
            "url must not contain a password: everyone who may read the run can read it; "
            "put it into a Secret and name that in secretRef",
        )
    ]
    kept = object_schema(
        {
            "run": _NAME,
            "uid": _UID,
            "number": text(patterns.RUN_NUMBER_PATTERN, len(str(patterns.MAX_RUN_NUMBER))),
            "step": _NAME,
            "attempt": {"type": "integer", "minimum": 1, "maximum": patterns.MAX_ATTEMPT},
        },
        *("run", "step", "attempt"),
    )
    source = object_schema({"archive": archive, "git": git, "kept": kept})
    source["x-kubernetes-validations"] = [
        rule(
            "(has(self.archive) ? 1 : 0) + (has(self.git) ? 1 : 0) + (has(self.kept) ? 1 : 0) == 1",
            "a run's source is either an archive or a git revision",
        )
    ]
    return source


def name_rule(kind: str) -> Json:
    """Names that the REST API and the names of Jobs and labels can't have are refused with the reason."""
    return rule(
        f"has(self.status) || self.metadata.name.matches('{patterns.NAME_PATTERN}')",
        f"the name of a {kind} must be a DNS label: at most {patterns.MAX_NAME_LENGTH} characters, only lowercase "
        "letters, digits and '-', no dots, because Jobs and labels are named after it",
    )
