"""Rules on timeouts, resources and services: timeouts that fit, and plausible quantities."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, join_words, quote
from controller.pipeline.graph import dag
from controller.pipeline.lint.rules.accessors import (
    dependencies,
    duration_or_none,
    env_scopes,
    iter_mappings,
    iter_steps,
)
from controller.pipeline.values import duration, quantity
from controller.run_types.patterns import MAX_PRESTART

Json = dict[str, Any]

_MIN_MEMORY = 1 << 20
_MAX_CORES = 512
_MAX_QUANTITY_LENGTH = 20
"""Characters, as in the schema."""


def _timeouts(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    whole = duration_or_none(data.get("timeout"))
    for path, scope in env_scopes(data):
        own = duration_or_none(scope.get("timeout"))
        at = (*path, "timeout")
        if own == 0:
            message, hint = "a timeout of 0 ends it at once", "leave it out for the default"
            yield source_map.diagnostic(at, "timeout-zero", message, hint, severity="warning")
        elif own is not None and own > duration.MAX_SECONDS:
            message = f"a timeout is at most a year ({duration.format_duration(duration.MAX_SECONDS)})"
            yield source_map.diagnostic(at, "timeout-too-long", message, "such as 10m or 2h")
        elif path and whole and own and own > whole:
            message = f"the step may take {scope['timeout']}, but the whole run only {data['timeout']}"
            hint = "shorten one or lengthen the other"
            yield source_map.diagnostic(at, "timeout-beyond-run", message, hint, severity="warning")


def _critical_path(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    """Only timeouts in the file count: the default says nothing about the duration of a step."""
    whole = duration_or_none(data.get("timeout"))
    graph = dependencies(data)
    if not whole or dag.find_cycle(graph) is not None:
        return
    lengths = {
        str(step["name"]): duration_or_none(step.get("timeout")) or 0 for _, step in iter_steps(data) if "name" in step
    }
    total, path = dag.longest_path(graph, lengths)
    counted = [name for name in path if lengths.get(name)]
    if total > whole and len(counted) > 1:
        message = (
            f"the timeouts of steps that wait for each other add up to {duration.humanize_duration(total)}, "
            f"more than the run's {data['timeout']}"
        )
        hint = f"they are: {join_words(counted)}"
        yield source_map.diagnostic(("timeout",), "timeout-critical-path", message, hint, severity="hint")


def _resources(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        resources = step.get("resources")
        if not isinstance(resources, dict):
            continue
        path = ("steps", index, "resources")
        memory, cpu = _quantity_or_none(resources.get("memory")), _quantity_or_none(resources.get("cpu"))
        if memory is not None and memory < _MIN_MEMORY:
            given = str(resources["memory"])
            number = given.rstrip("mkKiMGT")
            message = f"{quote(given)} of memory is {'less than a byte' if memory < 1 else f'{int(memory):,} bytes'}"
            hint = f"did you mean `{number}Mi`?"
            yield source_map.diagnostic((*path, "memory"), "resources-unlikely", message, hint, severity="warning")
        if cpu is not None and (cpu == 0 or cpu > _MAX_CORES):
            given = str(resources["cpu"])
            hint = f"did you mean `{given.rstrip('mkKiMGT')}m`?" if cpu else "leave it out for no limit"
            message = f"{quote(given)} of cpu is {'none' if not cpu else f'{int(cpu):,} cores'}"
            yield source_map.diagnostic((*path, "cpu"), "resources-unlikely", message, hint, severity="warning")


def _quantity_or_none(text: Any) -> Decimal | None:
    try:
        return quantity.parse_quantity(text) if isinstance(text, str) and len(text) <= _MAX_QUANTITY_LENGTH else None
    except ValueError:
        return None


def _services(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        seen: set[str] = set()
        ports: dict[int, str] = {}
        for n, service in iter_mappings(step.get("services")):
            path = ("steps", index, "services", n)
            name, ready = service.get("name"), service.get("ready")
            if isinstance(name, str) and name in seen:
                message = f"there are two services named {quote(name)} in this step"
                yield source_map.diagnostic((*path, "name"), "duplicate-service", message, "give one another name")
            seen.add(str(name))
            if isinstance(ready, dict) and (ready.get("port") is None) == (ready.get("exec") is None):
                message = "a service is ready by its `port` or by a command `exec`: give one of them"
                yield source_map.diagnostic((*path, "ready"), "service-ready", message, "such as `ready: {port: 5432}`")
            port = ready.get("port") if isinstance(ready, dict) else None
            if isinstance(port, int) and port in ports:
                message = f"the services {quote(ports[port])} and {quote(str(name))} both wait for port {port}"
                hint = "services of a step share one network: give each a port of its own"
                yield source_map.diagnostic((*path, "ready", "port"), "service-port", message, hint, severity="warning")
            elif isinstance(port, int):
                ports[port] = str(name)


def _prestart(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    wanted = data.get("prestart")
    if not isinstance(wanted, int) or not 1 <= wanted <= MAX_PRESTART:
        return
    if data.get("maxParallel") == 1:
        why, hint = "with a `maxParallel` of 1 there is never room for a pod that waits", "raise maxParallel"
    elif not any(step.get("dependsOn") for _, step in iter_steps(data)):
        why, hint = "no step depends on another one, so that all begin at once", "leave it out"
    else:
        return
    message = f"`prestart` has no effect: {why}"
    yield source_map.diagnostic(("prestart",), "prestart-without-effect", message, hint, severity="warning")


RULES = (_timeouts, _critical_path, _resources, _services, _prestart)
