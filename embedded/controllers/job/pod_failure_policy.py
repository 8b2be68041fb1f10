"""Evaluates a Job's `podFailurePolicy` and `successPolicy`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from embedded.controllers.job.indexed import parse_indexes

Json = dict[str, Any]
PolicyAction = Literal["FailJob", "FailIndex", "Ignore", "Count"]


@dataclass(frozen=True)
class PolicyMatch:
    """The action of the first rule that matches a failed pod, and a message that names the rule."""

    action: PolicyAction
    message: str


def match_failure_policy(job: Json, pod: Json) -> PolicyMatch | None:
    """The rule that matches a failed pod; None without one. A pod that is only being deleted has not failed yet."""
    if (pod.get("status") or {}).get("phase") != "Failed":
        return None
    for number, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or []):
        cause = _exit_code(rule.get("onExitCodes"), pod) or _condition(rule.get("onPodConditions"), pod)
        if cause:
            return PolicyMatch(rule["action"], f"{cause} matching {rule['action']} rule at index {number}")
    return None


def _exit_code(requirement: Json | None, pod: Json) -> str:
    if not requirement:
        return ""
    metadata, values = pod["metadata"], set(requirement.get("values") or [])
    for container in _containers(pod):
        code = (container["state"].get("terminated") or {}).get("exitCode", 0)
        if code == 0 or requirement.get("containerName") not in (None, container["name"]):
            continue
        if (code in values) == (requirement["operator"] == "In"):
            where = f"{metadata['namespace']}/{metadata['name']}"
            return f"Container {container['name']} for pod {where} failed with exit code {code}"
    return ""


def _containers(pod: Json) -> Iterator[Json]:
    status = pod["status"]
    yield from status.get("containerStatuses") or []
    yield from status.get("initContainerStatuses") or []


def _condition(patterns: list[Json] | None, pod: Json) -> str:
    metadata = pod["metadata"]
    for pattern in patterns or []:
        for condition in pod["status"].get("conditions") or []:
            if (condition["type"], condition["status"]) == (pattern["type"], pattern.get("status", "True")):
                return f"Pod {metadata['namespace']}/{metadata['name']} has condition {condition['type']}"
    return ""


def match_success_policy(job: Json, succeeded: frozenset[int]) -> str:
    """The success policy rule that these indexes meet, as a message; empty for none."""
    completions = int(job["spec"].get("completions") or 0)
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or []):
        text, needed = rule.get("succeededIndexes"), rule.get("succeededCount")
        expected = succeeded if text is None else parse_indexes(text, completions)
        matched = len(expected & succeeded)
        if matched >= (len(expected) if needed is None else needed) and matched:
            return f"Matched rules at index {number}"
    return ""
