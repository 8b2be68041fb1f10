"""Services of other systems: their ports, and that steps reach them at localhost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.importer.draft import StepDraft
from workbench.importer.values import slug

_MAX_SERVICES = 100
_PORTS = {
    "postgres": 5432,
    "postgis": 5432,
    "timescaledb": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "redis": 6379,
    "valkey": 6379,
    "memcached": 11211,
    "mongo": 27017,
    "rabbitmq": 5672,
    "elasticsearch": 9200,
    "opensearch": 9200,
    "minio": 9000,
    "nginx": 80,
}


def make_service(
    step: StepDraft, name: str, image: str, env: Mapping[str, str], ports: Sequence[str], line: int
) -> dict[str, Any] | None:
    """A service of the step; None for one that can't be a service."""
    if len(step.services) >= _MAX_SERVICES:
        step.note(line, f"more than {_MAX_SERVICES} services")
        return None
    if not image:
        step.note(line, f"the service {name} has no image and is left out")
        return None
    base = image.rpartition("/")[2].partition(":")[0]
    if base in ("docker", "dind"):
        step.note(line, f"{image} as a service has no counterpart: steps have no Docker daemon")
        return None
    made: dict[str, Any] = {"name": _unique(step, slug(name, 50) or slug(base, 50) or "service"), "image": image}
    if env:
        made["env"] = dict(env)
    # `8080:80/tcp` publishes the port 80.
    given = [int(match[1]) for port in ports if (match := re.search(r"(?:^|:)([0-9]{1,5})(?:/[a-z]+)?$", port))]
    port = next((number for number in given if 0 < number < 65536), _PORTS.get(base))
    if port and not any(each.get("ready") == {"port": port} for each in step.services):
        made["ready"] = {"port": port}
    step.note(line, f"the service {name} is reached at localhost, not at its name, and at its own port")
    return made


def _unique(step: StepDraft, name: str) -> str:
    taken = {each["name"] for each in step.services}
    made, number = name, 2
    while made in taken:
        made, number = f"{name}-{number}", number + 1
    return made
