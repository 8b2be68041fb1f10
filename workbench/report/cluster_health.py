"""The health of a sandbox and a namespace as rows: components, queue, quotas and pods. It draws nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from controller.pipeline.values.quantity import parse_quantity
from workbench.client.models import Health, Pod, Quota
from workbench.text.format import format_duration, plural

Level = Literal["ok", "warning", "error", "none"]

_PODS = {"Running": "ok", "Succeeded": "ok", "Failed": "error"}
_NEARLY = Decimal("0.9")


class Component(Protocol):
    """One process of a sandbox."""

    @property
    def name(self) -> str: ...
    @property
    def healthy(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def restarts(self) -> int: ...


class SandboxHealth(Protocol):
    """The status of a sandbox; `workbench.sandbox.status.SandboxStatus` implements it."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def temporary(self) -> bool: ...
    @property
    def components(self) -> Iterable[Component]: ...


@dataclass(frozen=True)
class Row:
    level: Level
    name: str
    text: str


@dataclass(frozen=True)
class Section:
    title: str
    rows: tuple[Row, ...]


def sandbox_section(found: SandboxHealth) -> Section:
    until = "; stops with its last client" if found.temporary else ""
    state = Row("ok" if found.state == "running" else "error", found.name, f"{found.state}{until}")
    return Section(
        "Sandbox", (state, *(Row(_level(each.healthy), each.name, _process(each)) for each in found.components))
    )


def runtime_text(runtime: str) -> str:
    """What runs the steps, of a Node's `process://0.1` or `containerd://2.1`."""
    kind, _, version = runtime.partition("://")
    return "local processes" if kind == "process" else f"{kind} {version}".strip()


def _process(part: Component) -> str:
    pid = f", pid {part.pid}" if part.pid is not None else ""
    restarts = f", restarted {plural(part.restarts, 'time')}" if part.restarts else ""
    return f"{part.detail}{pid}{restarts}"


def _level(healthy: bool) -> Level:
    return "ok" if healthy else "error"


def health_sections(health: Health, now: datetime) -> tuple[Section, ...]:
    """The sections of controller and store, queue, quotas and pods."""
    parts = tuple(Row(_level(each.ready), each.name, each.message or "ready") for each in health.components)
    oldest = (
        f", the first for {format_duration(health.oldest_wait_seconds)}"
        if health.oldest_wait_seconds is not None
        else ""
    )
    queue = Row("none", "waiting", f"{plural(health.queued_runs, 'run')}{oldest}")
    return (
        Section("Controller and store", parts),
        Section("Queue", (queue,)),
        Section("Quota", tuple(map(_quota, health.quotas)) or (Row("none", "", "No quota set."),)),
        Section("Pods", tuple(_pod(each, now) for each in health.pods) or (Row("none", "", "No pods of steps now."),)),
    )


def _quota(quota: Quota) -> Row:
    used, hard = _quantity(quota.used), _quantity(quota.hard)
    share = used / hard if used is not None and hard else None
    level: Level = "none" if share is None else "error" if share >= 1 else "warning" if share >= _NEARLY else "ok"
    percent = f" ({share * 100:.0f} %)" if share is not None else ""
    return Row(level, quota.resource, f"{quota.used} of {quota.hard}{percent}   {quota.name}")


def _pod(pod: Pod, now: datetime) -> Row:
    age = format_duration((now - pod.started_at).total_seconds()) if pod.started_at is not None else "not started"
    level: Level = _PODS.get(pod.phase, "none")  # type: ignore[assignment]
    where = " · ".join(part for part in (pod.run, pod.step, pod.node) if part)
    return Row(level, pod.name, f"{pod.phase}, {age}   {where}")


def _quantity(text: str) -> Decimal | None:
    try:
        return parse_quantity(text)
    except ValueError:
        return None
