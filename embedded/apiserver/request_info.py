"""What a URL path asks for."""

from __future__ import annotations

from dataclasses import dataclass

from embedded.api.scheme import ResourceType, Scheme


@dataclass(frozen=True)
class RequestInfo:
    """A resource's collection (`name` is empty), an object, or a subresource of one."""

    resource: ResourceType
    namespace: str | None
    name: str
    subresource: str
    is_watch_path: bool = False
    """The path itself says that it is to be watched (`/api/v1/watch/…`), as old clients have it."""


def parse(path: str, catalogue: Scheme) -> RequestInfo | None:
    """The target of `/api/v1/…` or `/apis/GROUP/VERSION/…`; None when nothing is served there."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    watched = rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if watched else rest
    # `namespaces/NAME` and `namespaces/NAME/status` are about the namespace itself.
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = catalogue.find(group, version, rest[0])
    if resource is None or len(rest) > 3 or not all(rest) or namespace == "":
        return None
    if namespace is not None and not resource.namespaced:
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    if subresource and subresource not in resource.subresources:
        return None
    if name and resource.namespaced and namespace is None:
        return None
    if watched and subresource:
        return None
    return RequestInfo(resource, namespace, name, subresource, watched)
