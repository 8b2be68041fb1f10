"""Custom resource definitions: what one must look like, and the resource that comes of it."""

from __future__ import annotations

from typing import Any

from embedded.machinery.errors import Cause
from embedded.machinery.resources import Column, ResourceType

Json = dict[str, Any]


CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its objects are gone."""


def default_crd(crd: Json) -> None:
    spec = crd.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        names.setdefault("listKind", f"{kind}List")
        names.setdefault("singular", kind.lower())
    spec.setdefault("conversion", {"strategy": "None"})


def crd_causes(crd: Json) -> list[Cause]:
    spec = crd["spec"]
    plural, group = spec.get("names", {}).get("plural", ""), spec.get("group", "")
    asked = {
        "group": group,
        "names.plural": plural,
        "names.kind": spec["names"].get("kind"),
        "scope": spec.get("scope"),
    }
    asked |= {f"versions[{n}].name": version.get("name") for n, version in enumerate(spec.get("versions") or [])}
    causes = [Cause("FieldValueRequired", f"spec.{at}", "Required value") for at, value in asked.items() if not value]
    if crd["metadata"].get("name") != f"{plural}.{group}":
        message = f'Invalid value: "{crd["metadata"].get("name")}": must be spec.names.plural+"."+spec.group'
        causes.append(Cause("FieldValueInvalid", "metadata.name", message))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        causes.append(Cause("FieldValueInvalid", "spec.versions", message))
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            at = f"spec.versions[{index}].schema.openAPIV3Schema"
            causes.append(Cause("FieldValueRequired", at, "Required value: schemas are required"))
    return causes


def accepted_status(crd: Json, now: str, conflict: str = "") -> Json:
    """The status of a new definition. `conflict`: one of its names that another definition has."""
    told = [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    if conflict:
        told = [
            ("NamesAccepted", "False", "NameConflict", f'"{conflict}" is already in use'),
            ("Established", "False", "NotAccepted", "not all names are accepted"),
        ]
    conditions = [
        {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
        for kind, status, reason, message in told
    ]
    stored = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
    accepted = {"plural": "", "kind": ""} if conflict else crd["spec"]["names"]
    return {"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}


def names_of(crd: Json) -> set[str]:
    """What must be unique in a group: plural, singular and short names, and the kinds."""
    names = crd["spec"]["names"]
    return {
        names["plural"],
        names.get("singular", ""),
        names["kind"],
        names.get("listKind", ""),
        *(names.get("shortNames") or ()),
    } - {""}


def is_served(crd: Json) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def resources_of(crd: Json) -> list[ResourceType]:
    """One resource per served version. All versions share their objects: conversion changes nothing but the name."""
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
            frozenset({"status"} & set(version.get("subresources") or ())),
            schema=version["schema"]["openAPIV3Schema"],
            columns=tuple(
                Column(c["name"], c["type"], c["jsonPath"], c.get("priority", 0), c.get("description", ""))
                for c in version.get("additionalPrinterColumns") or ()
            ),
            list_kind=names.get("listKind", ""),
            converted=len(spec["versions"]) > 1,
            going=going,
        )
        for version in spec["versions"]
        if version.get("served")
    ]
