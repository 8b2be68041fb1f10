"""The downward API: fields and resources of a pod as values for its containers.

Pure, except that missing limits are the size of this machine.
"""

from __future__ import annotations

import json
import os
import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from embedded.api.quantity import parse_quantity

Json = dict[str, Any]

LOOPBACK = "127.0.0.1"
"""The address of the node, and of pods that are processes of this machine."""


class DownwardApiError(Exception):
    """The field or resource does not exist, or is not available to containers."""


def resolve_field(pod: Json, path: str) -> str:
    """A pod's field as text.

    Raises:
        DownwardApiError: the field is not available.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str((metadata.get(match.group(1)) or {}).get(match.group(2), ""))
    address = (pod.get("status") or {}).get("podIP") or LOOPBACK
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": LOOPBACK,
        "status.hostIPs": LOOPBACK,
    }
    if path not in known:
        raise DownwardApiError(f"unsupported fieldPath: {path}")
    return str(known[path])


def resolve_file_field(pod: Json, path: str) -> str:
    """A pod's field for a file, where all labels or annotations are available: `key="value"`, one per line."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)", path):
        pairs = sorted((pod["metadata"].get(match.group(1)) or {}).items())
        return "\n".join(f"{key}={json.dumps(str(value), ensure_ascii=False)}" for key, value in pairs)
    return resolve_field(pod, path)


def resolve_resource(reference: Json, pod: Json, container: Json | None) -> str:
    """A limit or request of a container in units of the divisor, rounded up; a missing limit is the machine's size.

    Raises:
        DownwardApiError: no such container or resource.
    """
    if name := reference.get("containerName"):
        spec = pod["spec"]
        containers = [*(spec.get("initContainers") or []), *spec["containers"]]
        container = next((c for c in containers if c["name"] == name), None)
    side, _, what = str(reference.get("resource", "")).partition(".")
    if container is None or side not in ("limits", "requests") or not what:
        raise DownwardApiError(f"unsupported container resource: {reference.get('resource')}")
    given = ((container.get("resources") or {}).get(side) or {}).get(what)
    try:
        amount = parse_quantity(given) if given is not None else _default_resource(side, what)
        divisor = parse_quantity(reference.get("divisor") or 0) or Decimal(1)
        return str(int((amount / divisor).to_integral_value(ROUND_CEILING)))
    except (ValueError, InvalidOperation) as error:
        raise DownwardApiError(f"can't compute {reference.get('resource')}: {error}") from error


def _default_resource(side: str, what: str) -> Decimal:
    if side == "requests":
        return Decimal(0)
    if what == "cpu":
        return Decimal(os.cpu_count() or 1)
    if what == "memory":
        return Decimal(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    raise DownwardApiError(f"unsupported container resource: {side}.{what}")
