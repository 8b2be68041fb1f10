"""metadata.generation: the number of times that what is wanted of an object has changed.

Only the rule is here; the registry asks it at every write.
"""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, JOBS, PODS, VALIDATING_WEBHOOKS, ResourceType
from embedded.registry import object_meta

Json = dict[str, Any]

_BUILT_INS_WITH_GENERATION = frozenset({JOBS.key, PODS.key, CUSTOM_RESOURCE_DEFINITIONS.key, VALIDATING_WEBHOOKS.key})


def has_generation(resource: ResourceType) -> bool:
    """Whether objects of the resource have a generation: custom ones have, and some of the built-in ones."""
    return resource.schema is not None or resource.key in _BUILT_INS_WITH_GENERATION


def advance_generation(resource: ResourceType, old: Json, new: Json) -> None:
    """Give `new` the generation after the one of `old` when other things are wanted of it."""
    if has_generation(resource) and object_meta.desired_state(resource, old) != object_meta.desired_state(
        resource, new
    ):
        new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
