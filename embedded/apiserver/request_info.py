"""Parses URL paths of the API."""

from __future__ import annotations

from dataclasses import dataclass

from embedded.api.scheme import ObjectRef, ResourceType, Scheme


@dataclass(frozen=True)
class RequestInfo:
    """A resource's collection (`name` is empty), an object, or a subresource of one."""

    resource: ResourceType
    namespace: str | None
    name: str
    subresource: str
    is_watch_path: bool = False
    """The path itself requests a watch (`/api/v1/watch/…`), as in old clients."""

    @property
    def ref(self) -> ObjectRef:
        """The object; only if `name` is not empty."""
        return ObjectRef(self.resource, self.namespace, self.name)


def parse(path: str, scheme: Scheme) -> RequestInfo | None:
    """What a path `/api/v1/…` or `/apis/GROUP/VERSION/…` addresses; None when nothing is served there."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    is_watch_path = rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if is_watch_path else rest
    # `namespaces/NAME` and `namespaces/NAME/status` address the namespace itself.
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = scheme.find(group, version, rest[0])
    if resource is None or len(rest) > 3 or not all(rest) or namespace == "":
        return None
    if namespace is not None and not resource.namespaced:
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    if subresource and subresource not in resource.subresources:
        return None
    if name and resource.namespaced and namespace is None:
        return None
    if is_watch_path and subresource:
        return None
    return RequestInfo(resource, namespace, name, subresource, is_watch_path)
