"""Readiness of the process: `/readyz` names the components that are not ready, and why."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Readiness:
    """The components that must be ready before the process can serve.

    A component reports its readiness, or has a check (`add_check`) that returns None when it is ready.
    """

    _waiting: dict[str, str] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)

    def set_waiting(self, component: str, reason: str) -> None:
        """The component isn't ready (any more); `reason` is a sentence for users and names no secret."""
        self._ready.discard(component)
        self._waiting[component] = reason

    def set_ready(self, component: str) -> None:
        """The component is ready."""
        self._waiting.pop(component, None)
        self._ready.add(component)

    def add_check(self, component: str, why_not: Callable[[], str | None]) -> None:
        """Checks the component whenever readiness is requested; `why_not` returns None when it is ready."""
        self._checks[component] = why_not

    def waiting(self) -> dict[str, str]:
        """The components that are not ready, with their reasons."""
        answers = {part: why_not() for part, why_not in self._checks.items()}
        return self._waiting | {part: why for part, why in answers.items() if why is not None}

    def document(self) -> dict[str, object]:
        """The response of `/readyz`."""
        waiting = self.waiting()
        ready = (self._ready | set(self._checks)) - set(waiting)
        listed = [{"part": part, "why": why} for part, why in sorted(waiting.items())]
        return {"ready": not waiting, "parts": sorted(ready), "waitingFor": listed}

    def components(self) -> list[dict[str, object]]:
        """Every component with its state, by name."""
        waiting = self.waiting()
        parts = self._ready | set(self._checks) | set(waiting)
        return [{"name": part, "ready": part not in waiting, "message": waiting.get(part)} for part in sorted(parts)]
