"""`/apis/metrics.k8s.io/v1beta1`: what pods and the node use now, as metrics-server reports it in a cluster.

Nothing is stored: what is asked for is measured. As from metrics-server, objects can be read and listed, with a
selector of labels, and not watched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from embedded.api.interfaces import KubeletApi
from embedded.api.selectors import parse_label_selector
from embedded.api.status_errors import ApiError

Json = dict[str, Any]

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
VERBS = ("get", "list")
KINDS = {"nodes": "NodeMetrics", "pods": "PodMetrics"}
_PATH = re.compile(
    r"/apis/metrics\.k8s\.io/v1beta1/(?:(?:namespaces/(?P<namespace>[a-z0-9-]{1,63})/)?(?P<pods>pods)|(?P<nodes>nodes))"
    r"(?:/(?P<name>[a-z0-9.-]{1,253}))?/?"
)


@dataclass(frozen=True)
class MetricsRequest:
    """A list, or one object with a `name`; `namespace` is empty for all namespaces, and for nodes."""

    resource: str
    namespace: str
    name: str

    @property
    def verb(self) -> str:
        return "get" if self.name else "list"


def parse_path(path: str) -> MetricsRequest | None:
    """What a path asks for; None for another path."""
    match = _PATH.fullmatch(path)
    if match is None or (match["pods"] and match["name"] and not match["namespace"]):
        return None
    return MetricsRequest(match["pods"] or match["nodes"], match["namespace"] or "", match["name"] or "")


async def read(kubelet: KubeletApi, wanted: MetricsRequest, selector: str) -> Json:
    """The object or the list.

    Raises:
        ApiError: 404, there is nothing to measure of this name; 400, the selector is invalid.
    """
    kind, group_version = KINDS[wanted.resource], f"{GROUP}/{VERSION}"
    matches = parse_label_selector(selector) or (lambda _: True)
    if wanted.resource == "pods":
        items = await kubelet.read_metrics(wanted.namespace, matches)
    else:
        items = await kubelet.read_node_metrics(matches)
    if not wanted.name:
        return {"kind": f"{kind}List", "apiVersion": group_version, "metadata": {}, "items": items}
    for item in items:
        if item["metadata"]["name"] == wanted.name:
            return {"kind": kind, "apiVersion": group_version, **item}
    # As metrics-server words it.
    name = f"{wanted.namespace}/{wanted.name}" if wanted.namespace else wanted.name
    details = {"name": name, "group": GROUP, "kind": kind.lower()}
    raise ApiError(404, "NotFound", f'{kind.lower()}.{GROUP} "{name}" not found', details)


def resource_entries() -> list[Json]:
    """The resources of the group, as in its discovery document."""
    return [
        {"name": name, "singularName": "", "namespaced": name == "pods", "kind": kind, "verbs": list(VERBS)}
        for name, kind in KINDS.items()
    ]
