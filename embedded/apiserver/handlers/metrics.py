"""`/apis/metrics.k8s.io/v1beta1/…/pods`: what pods use now, as far as clients of metrics-server need it.

Lists only, with a selector of labels. The group is not in the discovery documents: nothing is stored, and a cluster
without metrics-server has no such group either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded.api.selectors import parse_label_selector

GROUP = "metrics.k8s.io"
_PATH = re.compile(r"/apis/metrics\.k8s\.io/v1beta1/(?:namespaces/(?P<namespace>[a-z0-9-]{1,63})/)?pods/?")


@dataclass(frozen=True)
class MetricsRequest:
    """A list of PodMetrics; `namespace` is empty for all namespaces."""

    namespace: str


def parse_path(path: str) -> MetricsRequest | None:
    """What a path asks for; None for another path."""
    match = _PATH.fullmatch(path)
    return None if match is None else MetricsRequest(match["namespace"] or "")


def selects(selector: str) -> Callable[[dict[str, Any]], bool]:
    """Whether the labels of a pod match a selector. Raises ApiError for an invalid one."""
    predicate = parse_label_selector(selector)
    return predicate if predicate is not None else lambda _: True
