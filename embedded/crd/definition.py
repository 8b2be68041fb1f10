"""Defaults and validation of custom resource definitions, and the resource types that they define."""

from __future__ import annotations

import re

from embedded.api.field_errors import duplicate, invalid, not_supported, required, too_many
from embedded.api.names import SUBDOMAIN, SUBDOMAIN_RULE, validate_dns1035_label
from embedded.api.scheme import Column, ResourceType, ScalePaths
from embedded.api.status_errors import FieldError
from embedded.crd import definition_schema
from embedded.types import JsonObject

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_APPROVED = "api-approved.kubernetes.io"
_APPROVALS = "https://github.com/kubernetes/enhancements/pull/1111"
_MAX_SELECTABLE_FIELDS = 8
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that keeps a definition until its objects are deleted."""


def set_crd_defaults(crd: JsonObject) -> None:
    spec = crd.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        names.setdefault("listKind", f"{kind}List")
        names.setdefault("singular", kind.lower())
    spec.setdefault("conversion", {"strategy": "None"})


def record_storage_version(crd: JsonObject) -> None:
    """Record the current storage version and the accepted names in the status, in column_path."""
    stored = crd.setdefault("status", {}).setdefault("storedVersions", [])
    for version in crd["spec"].get("versions") or []:
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version["name"])
    if is_established(crd):
        crd["status"]["acceptedNames"] = crd["spec"]["names"]


def validate_crd(crd: JsonObject, old: JsonObject | None = None) -> list[FieldError]:
    """Validate a definition; `old` is its state before an update."""
    spec = crd["spec"]
    versions = spec.get("versions") or []
    plural, group = spec["names"].get("plural", ""), spec.get("group", "")
    errors = []
    if crd["metadata"].get("name") != f"{plural}.{group}":
        name = crd["metadata"].get("name")
        errors.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    errors += _validate_approval(crd, group)
    if spec.get("preserveUnknownFields"):
        errors.append(invalid("spec.preserveUnknownFields", True, "must be false"))
    errors += _validate_group(group) + _validate_scope(spec.get("scope", ""))
    for index, version in enumerate(versions):
        errors += _validate_version(version, f"spec.versions[{index}]")
    names = [version.get("name") for version in versions]
    for index, name in enumerate(names):
        if name in names[:index]:
            errors.append(duplicate(f"spec.versions[{index}].name", name))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        errors.append(invalid("spec.versions", names, "must have exactly one version marked as storage version"))
    errors += _validate_names(spec["names"])
    strategy = (spec.get("conversion") or {}).get("strategy")
    if strategy != "None":
        # Conversion webhooks are not supported: they would be called for every read.
        errors.append(not_supported("spec.conversion.strategy", strategy, ("None",)))
    for index, name in enumerate((crd.get("status") or {}).get("storedVersions") or []):
        if name not in names:
            errors.append(
                invalid(
                    f"status.storedVersions[{index}]",
                    name,
                    f"missing from spec.versions; {name} was previously a storage version",
                )
            )
    return errors + (_validate_immutable_fields(old["spec"], spec) if old is not None else [])


def _validate_group(group: str) -> list[FieldError]:
    if not group:
        return [required("spec.group")]
    if not re.fullmatch(SUBDOMAIN, group):
        return [invalid("spec.group", group, SUBDOMAIN_RULE)]
    if "." not in group:
        return [invalid("spec.group", group, "should be a domain with at least one dot")]
    return []


def _validate_approval(crd: JsonObject, group: str) -> list[FieldError]:
    """Protected groups of the Kubernetes community need an approval annotation."""
    if not group.endswith((".k8s.io", ".kubernetes.io")) and group not in ("k8s.io", "kubernetes.io"):
        return []
    approval = (crd["metadata"].get("annotations") or {}).get(_APPROVED, "")
    path = f"metadata.annotations[{_APPROVED}]"
    message = f'protected groups must have approval annotation "{_APPROVED}"'
    if not approval:
        return [required(path, f"{message}, see {_APPROVALS}")]
    if approval.startswith(("unapproved", "https://", "http://")):
        return []
    return [
        invalid(path, approval, f'{message} with either a URL or a reason starting with "unapproved", see {_APPROVALS}')
    ]


def _validate_selectable_fields(version: JsonObject, at: str) -> list[FieldError]:
    fields, errors = version.get("selectableFields") or [], []
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    if len(fields) > _MAX_SELECTABLE_FIELDS:
        errors.append(too_many(f"{at}.selectableFields", len(fields), _MAX_SELECTABLE_FIELDS))
    seen: set[str] = set()
    for index, field in enumerate(fields):
        field_path, path = f"{at}.selectableFields[{index}].jsonPath", field.get("jsonPath") or ""
        if not path:
            errors.append(required(field_path))
        elif path in seen:
            errors.append(duplicate(field_path, path))
        elif detail := _selectable_field_error(path, schema):
            errors.append(invalid(field_path, path, detail))
        seen.add(path)
    return errors


def _selectable_field_error(path: str, schema: JsonObject) -> str:
    """Why a field cannot be a selectable field; empty when it can."""
    if not re.fullmatch(r"(\.[A-Za-z_][A-Za-z0-9_-]*)+", path):
        return "must be a simple json path starting with ."
    if path.startswith(".metadata"):
        return "must not point to fields in metadata"
    for name in path[1:].split("."):
        schema = (schema.get("properties") or {}).get(name) or {}
    if not schema:
        return "is an invalid path: does not refer to a valid field"
    if schema.get("type") not in ("string", "boolean", "integer"):
        return (
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats "
            "are allowed."
        )
    return ""


def _validate_scope(scope: str) -> list[FieldError]:
    if not scope:
        return [required("spec.scope")]
    if scope not in ("Cluster", "Namespaced"):
        return [not_supported("spec.scope", scope, ("Cluster", "Namespaced"))]
    return []


def _validate_version(version: JsonObject, path: str) -> list[FieldError]:
    errors, name = [], version.get("name") or ""
    if detail := validate_dns1035_label(name):
        errors.append(invalid(f"{path}.name", name, detail))
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    field_path = f"{path}.schema.openAPIV3Schema"
    if schema is None:
        errors.append(required(field_path, "schemas are required"))
    else:
        errors += definition_schema.validate_schema(schema, field_path)
    errors += _validate_selectable_fields(version, path)
    if scale := (version.get("subresources") or {}).get("scale"):
        errors += _validate_scale(scale, f"{path}.subresources.scale")
    for index, column in enumerate(version.get("additionalPrinterColumns") or []):
        column_path = f"{path}.additionalPrinterColumns[{index}]"
        for field in ("name", "type", "jsonPath"):
            if not column.get(field):
                errors.append(required(f"{column_path}.{field}"))
        if column.get("type") and column["type"] not in _COLUMN_TYPES:
            types = ",".join(_COLUMN_TYPES)
            errors.append(invalid(f"{column_path}.type", column["type"], f"must be one of {types}"))
        if column.get("jsonPath") and not column["jsonPath"].startswith("."):
            errors.append(
                invalid(f"{column_path}.jsonPath", column["jsonPath"], "must be a simple json path starting with .")
            )
    return errors


def _validate_names(names: JsonObject) -> list[FieldError]:
    errors = []
    for field in ("plural", "singular", "kind", "listKind"):
        name = names.get(field) or ""
        if not name:
            if field in ("plural", "kind"):
                errors.append(required(f"spec.names.{field}"))
        elif detail := validate_dns1035_label(name if field in ("plural", "singular") else name.lower()):
            additional = "" if field in ("plural", "singular") else "may have mixed case, but should otherwise match: "
            errors.append(invalid(f"spec.names.{field}", name, f"{additional}{detail}"))
    for field in ("shortNames", "categories"):
        for index, name in enumerate(names.get(field) or []):
            if detail := validate_dns1035_label(name):
                path = f"spec.names.{field}[{index}]"
                errors.append(invalid(path, name, detail))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        errors.append(invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same"))
    return errors


def _validate_immutable_fields(old: JsonObject, new: JsonObject) -> list[FieldError]:
    fixed = {
        "spec.group": (old["group"], new.get("group")),
        "spec.scope": (old["scope"], new.get("scope")),
        "spec.names.plural": (old["names"]["plural"], new["names"].get("plural")),
        "spec.names.kind": (old["names"]["kind"], new["names"].get("kind")),
    }
    return [invalid(path, after, "field is immutable") for path, (before, after) in fixed.items() if before != after]


def initial_status(crd: JsonObject, now: str, conflict: str = "") -> JsonObject:
    """The status of a new definition. `conflict` is one of its names that another definition already has."""
    transitions = [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    if conflict:
        transitions = [
            ("NamesAccepted", "False", "NameConflict", f'"{conflict}" is already in use'),
            ("Established", "False", "NotAccepted", "not all names are accepted"),
        ]
    conditions = [
        {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
        for kind, status, reason, message in transitions
    ]
    stored = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
    accepted = {"plural": "", "kind": ""} if conflict else crd["spec"]["names"]
    return {"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}


def claimed_names(crd: JsonObject) -> set[str]:
    """The names that must be unique in a group: plural, singular and short names, kind and list kind."""
    names = crd["spec"]["names"]
    return {
        names["plural"],
        names.get("singular", ""),
        names["kind"],
        names.get("listKind", ""),
        *(names.get("shortNames") or ()),
    } - {""}


def is_established(crd: JsonObject) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def _scale_paths(scale: JsonObject | None) -> ScalePaths | None:
    if scale is None:
        return None
    return ScalePaths(scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or "")


def _validate_scale(scale: JsonObject, path: str) -> list[FieldError]:
    """Validate the paths of a scale subresource."""
    errors: list[FieldError] = []
    roots = {
        "specReplicasPath": ((".spec.",), ".spec"),
        "statusReplicasPath": ((".status.",), ".status"),
        "labelSelectorPath": ((".spec.", ".status."), "either .status or .spec"),
    }
    for name, (prefixes, root) in roots.items():
        value = scale.get(name) or ""
        if not value:
            errors += [] if name == "labelSelectorPath" else [required(f"{path}.{name}")]
        elif not value.startswith("."):
            errors.append(invalid(f"{path}.{name}", value, "must be a simple json path starting with ."))
        elif not value.startswith(prefixes):
            errors.append(invalid(f"{path}.{name}", value, f"should be a json path under {root}"))
    return errors


def resource_types(crd: JsonObject) -> list[ResourceType]:
    """One resource type per served version. All versions share their objects; conversion changes only `apiVersion`."""
    spec, names = crd["spec"], crd["spec"]["names"]
    going = "deletionTimestamp" in crd["metadata"]
    return [
        ResourceType(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            spec.get("scope") == "Namespaced",
            names.get("singular", ""),
            tuple(names.get("shortNames", ())),
            tuple(names.get("categories", ())),
            frozenset({"status", "scale"} & set(version.get("subresources") or ())),
            schema=version["schema"]["openAPIV3Schema"],
            columns=tuple(
                Column(c["name"], c["type"], c["jsonPath"], c.get("priority", 0), c.get("description", ""))
                for c in version.get("additionalPrinterColumns") or ()
            ),
            list_kind=names.get("listKind", ""),
            selectable_fields=tuple(f["jsonPath"][1:] for f in version.get("selectableFields") or ()),
            needs_conversion=len(spec["versions"]) > 1,
            scale=_scale_paths((version.get("subresources") or {}).get("scale")),
            terminating=going,
        )
        for version in spec["versions"]
        if version.get("served")
    ]
