"""Gives every run its number: the ConfigMap `c8s-run-numbers` of the namespace holds the last one of each pipeline.

Two controllers may ask at once; the ConfigMap's resourceVersion decides, so no number is given twice, nor is a
deleted run's.
"""

from typing import Any

from controller.api.problems import ApiProblem
from controller.kube import CONFIG_MAPS, AlreadyExists, Conflict, KubeClient, NotFound

CONFIG_MAP = "c8s-run-numbers"
ATTEMPTS = 30
NAME_LIMIT = 63


async def take_number(client: KubeClient, namespace: str, pipeline: str, at_least: int) -> int:
    """The pipeline's next number, and not under `at_least` (the ConfigMap may have been deleted by someone).

    Raises a problem `conflict` when others keep winning, which takes more writers than a namespace has.
    """
    for _ in range(ATTEMPTS):
        try:
            config_map = await client.get(CONFIG_MAPS, CONFIG_MAP, namespace)
        except NotFound:
            config_map = None
        number = max(_last(config_map, pipeline) + 1, at_least)
        try:
            if config_map is None:
                await client.create(CONFIG_MAPS, _new(namespace, pipeline, number), namespace)
            else:
                data = {**(config_map.get("data") or {}), pipeline: str(number)}
                await client.update(CONFIG_MAPS, {**config_map, "data": data})
        except (AlreadyExists, Conflict):
            continue
        return number
    raise ApiProblem("conflict", f"too many runs of {pipeline} are being created at once; try again")


def run_name(pipeline: str, number: int) -> str:
    """`<pipeline>-<number>`, the pipeline's name cut so that the whole stays a DNS label of at most 63 characters."""
    suffix = f"-{number}"
    return pipeline[: NAME_LIMIT - len(suffix)].rstrip("-") + suffix


def _last(config_map: dict[str, Any] | None, pipeline: str) -> int:
    text = str(((config_map or {}).get("data") or {}).get(pipeline, "0"))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _new(namespace: str, pipeline: str, number: int) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "c8s"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": namespace, "labels": labels},
        "data": {pipeline: str(number)},
    }
