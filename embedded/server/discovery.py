"""Discovery: which groups, versions and resources there are."""

from __future__ import annotations

from typing import Any

from embedded.machinery.resources import SERVER_VERSION, Catalogue, ResourceType
from embedded.server import openapi, streams

Json = dict[str, Any]

_HEALTH = ("healthz", "livez", "readyz")


def document(path: str, catalogue: Catalogue) -> Json | str | None:
    """What is at a path outside the resources: JSON, a text, or None for nothing."""
    parts = path.strip("/").split("/")
    if parts[0] in _HEALTH and len(parts) == 1:
        return "ok"
    if parts == ["version"]:
        return dict(SERVER_VERSION)
    if parts[:2] == ["openapi", "v3"]:
        return openapi.document("/".join(parts[2:]), catalogue) if parts[2:] else openapi.index(catalogue)
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if parts == ["api", "v1"]:
        return _resource_list("", "v1", catalogue)
    if parts == ["apis"]:
        groups = [_group(g, v) for g, v in catalogue.group_versions().items() if g]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if parts[0] == "apis" and len(parts) in (2, 3):
        versions = catalogue.group_versions().get(parts[1], [])
        if len(parts) == 2:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], versions)} if versions else None
        return _resource_list(parts[1], parts[2], catalogue) if parts[2] in versions else None
    return None


def _group(group: str, versions: list[str]) -> Json:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(group: str, version: str, catalogue: Catalogue) -> Json:
    entries: list[Json] = []
    for resource in catalogue.all():
        if (resource.group, resource.version) == (group, version):
            entries += _entries(resource)
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entries(resource: ResourceType) -> list[Json]:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entries = [entry]
    for subresource in sorted(resource.subresources):
        verbs = {"status": ["get", "patch", "update"], "log": ["get"], "token": ["create"]}.get(
            subresource, ["create", "get"]
        )
        more = {**entry, "name": f"{resource.plural}/{subresource}", "singularName": "", "verbs": verbs}
        if subresource == "token":
            more |= {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
        if subresource in streams.SUBRESOURCES:
            more["kind"] = f"Pod{subresource.capitalize()}Options"
        more.pop("shortNames", None)
        more.pop("categories", None)
        entries.append(more)
    return entries
