"""Discovery: the groups, versions and resources that are served."""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import SERVER_VERSION, ResourceType, Scheme
from embedded.apiserver.handlers import exec, metrics, openapi
from embedded.apiserver.handlers.openapi import EncodedDocument
from embedded.storage.sqlite import encode_json

Json = dict[str, Any]

_HEALTH = ("healthz", "livez", "readyz")
_HEALTH_CHECKS = ("ping", "etcd")
"""`etcd`, as clients know it, is the database."""


_AGGREGATED = "APIGroupDiscoveryList"
_AGGREGATION = "apidiscovery.k8s.io"


def find_document(
    path: str, scheme: Scheme, accept: str = "", *, verbose: bool = False
) -> Json | str | EncodedDocument | None:
    """The document at a path that is not a resource: JSON or text; None if there is none.

    With `verbose`, health checks list what they checked.
    """
    parts = path.strip("/").split("/")
    if parts in (["api"], ["apis"]) and (version := _requested_aggregation(accept)):
        return _aggregated_document(parts == ["api"], version, scheme)
    if parts == [""]:
        return {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}
    if parts[0] in _HEALTH and (len(parts) == 1 or (len(parts) == 2 and parts[1] in _HEALTH_CHECKS)):
        return _verbose_health(parts[0], parts[1:]) if verbose else "ok"
    if parts == ["openapi", "v2"]:
        return openapi.v2_document(accept)
    if parts == ["version"]:
        return dict(SERVER_VERSION)
    if parts[:2] == ["openapi", "v3"]:
        return openapi.group_version_document("/".join(parts[2:]), scheme) if parts[2:] else openapi.index(scheme)
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if parts == ["api", "v1"]:
        return _resource_list("", "v1", scheme)
    if parts == ["apis"]:
        groups = [_group(g, v) for g, v in _group_versions(scheme).items() if g]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if parts[0] == "apis" and len(parts) in (2, 3):
        versions = _group_versions(scheme).get(parts[1], [])
        if len(parts) == 2:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], versions)} if versions else None
        return _resource_list(parts[1], parts[2], scheme) if parts[2] in versions else None
    return None


def _group_versions(scheme: Scheme) -> dict[str, list[str]]:
    """The versions of each group, those of what is stored and then that of what is measured."""
    found = scheme.group_versions()
    found.setdefault(metrics.GROUP, [metrics.VERSION])
    return found


def _verbose_health(endpoint: str, checks: list[str]) -> str:
    """The checks of a health endpoint, as text. The server serves nothing before all of them have passed."""
    lines = [f"[+]{check} ok" for check in checks or _HEALTH_CHECKS]
    return "\n".join([*lines, f"{endpoint} check passed", ""])


def _requested_aggregation(accept: str) -> str:
    """The version of aggregated discovery if the client prefers it to the plain form; else empty."""
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        options = dict(part.partition("=")[::2] for part in parameters)
        if media not in ("application/json", "*/*", "application/*"):
            continue
        if options.get("as") == _AGGREGATED and options.get("g") == _AGGREGATION:
            if options.get("v") in ("v2", "v2beta1"):
                return options["v"]
        elif "as" not in options:
            return ""
    return ""


def _aggregated_document(core: bool, version: str, scheme: Scheme) -> EncodedDocument:
    items = []
    for group, versions in _group_versions(scheme).items():
        if core is (group == ""):
            listed = [
                {"version": each, "resources": _aggregated_resources(group, each, scheme), "freshness": "Current"}
                for each in versions
            ]
            metadata = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
            items.append({"metadata": metadata, "versions": listed})
    document = {"kind": _AGGREGATED, "apiVersion": f"{_AGGREGATION}/{version}", "metadata": {}, "items": items}
    return EncodedDocument(encode_json(document), f"application/json;g={_AGGREGATION};v={version};as={_AGGREGATED}")


def _aggregated_resources(group: str, version: str, scheme: Scheme) -> list[Json]:
    """The resources of one version, in aggregated form."""
    if (group, version) == (metrics.GROUP, metrics.VERSION):
        return [_aggregated_metrics(each) for each in metrics.resource_entries()]
    found = []
    for resource in scheme.all():
        if (resource.group, resource.version) != (group, version):
            continue
        whole, *parts = _resource_entries(resource)
        entry: Json = {
            "resource": resource.plural,
            "responseKind": _group_version_kind(whole, resource),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": whole["verbs"],
        }
        entry |= {name: whole[name] for name in ("shortNames", "categories") if name in whole}
        if parts:
            entry["subresources"] = [
                {
                    "subresource": part["name"].partition("/")[2],
                    "responseKind": _group_version_kind(part, resource),
                    "verbs": part["verbs"],
                }
                for part in parts
            ]
        found.append(entry)
    return found


def _aggregated_metrics(entry: Json) -> Json:
    return {
        "resource": entry["name"],
        "responseKind": {"group": metrics.GROUP, "version": metrics.VERSION, "kind": entry["kind"]},
        "scope": "Namespaced" if entry["namespaced"] else "Cluster",
        "singularResource": "",
        "verbs": entry["verbs"],
    }


def _group_version_kind(entry: Json, resource: ResourceType) -> Json:
    of = (entry.get("group", resource.group), entry.get("version", resource.version))
    return {"group": of[0], "version": of[1], "kind": entry["kind"]}


def _group(group: str, versions: list[str]) -> Json:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(group: str, version: str, scheme: Scheme) -> Json:
    entries = metrics.resource_entries() if (group, version) == (metrics.GROUP, metrics.VERSION) else []
    for resource in scheme.all():
        if (resource.group, resource.version) == (group, version):
            entries += _resource_entries(resource)
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _resource_entries(resource: ResourceType) -> list[Json]:
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
        verbs = list(resource.verbs_for(subresource))
        more = {**entry, "name": f"{resource.plural}/{subresource}", "singularName": "", "verbs": verbs}
        if subresource == "token":
            more |= {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
        if subresource == "eviction":
            more |= {"group": "policy", "version": "v1", "kind": "Eviction"}
        if subresource == "scale":
            more |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        if subresource in exec.SUBRESOURCES:
            more["kind"] = f"Pod{subresource.capitalize()}Options"
        more.pop("shortNames", None)
        more.pop("categories", None)
        entries.append(more)
    return entries
