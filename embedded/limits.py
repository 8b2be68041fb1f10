"""The bounds of what clients of the embedded cluster send, for docs/reference/limits.md."""

from __future__ import annotations

from embedded.api import quantity
from embedded.apiserver.codec import yaml_codec
from embedded.cel import evaluate, parser
from embedded.kubelet.config import environment
from embedded.patch import json_patch
from embedded.storage.object_size import MAX_OBJECT_BYTES

LIMITS: tuple[tuple[str, str, str], ...] = (
    ("an object", f"{MAX_OBJECT_BYTES / (1 << 20):g} MiB", "refused with 413 or 500, as by etcd"),
    ("values in a body in YAML, with aliases written out", f"{yaml_codec.MAX_VALUES:,}", "refused with 400"),
    ("operations of a JSON patch", f"{json_patch.MAX_OPERATIONS:,}", "refused with 413"),
    (
        "what all `copy` operations of a JSON patch add",
        f"{json_patch.MAX_COPIED_BYTES >> 20} MiB",
        "refused with 422",
    ),
    ("a quantity, such as `500m`", f"{quantity.MAX_LENGTH:,} characters", "refused with 422"),
    ("a CEL expression", f"{parser.MAX_EXPRESSION_LENGTH // 1024} KiB", "a syntax error"),
    ("steps of one evaluation of CEL", f"{evaluate.MAX_STEPS:,}", "the rule fails"),
    ("the same of all rules of an object", f"{evaluate.MAX_OBJECT_STEPS:,}", "the rule fails"),
    (
        "the variables of a container, expanded",
        f"{environment.MAX_EXPANDED_CHARACTERS >> 20} MiB",
        "the container does not start (`CreateContainerConfigError`)",
    ),
)
"""What is bounded, its maximum, and what happens beyond it."""
