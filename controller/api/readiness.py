"""Liveness and readiness: `/healthz` says that the process turns, `/readyz` names what is not ready and why."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Readiness:
    """The parts of the process that must be there before it can serve, each with what it waits for.

    A part says itself when it is ready, or is asked each time (`ask`): None means that it is.
    """

    _waiting: dict[str, str] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)

    def set_waiting(self, component: str, reason: str) -> None:
        """The part isn't ready (any more); `why` is a sentence for people and names no secret."""
        self._ready.discard(component)
        self._waiting[component] = reason

    def set_ready(self, component: str) -> None:
        """The part is ready."""
        self._waiting.pop(component, None)
        self._ready.add(component)

    def add_check(self, component: str, why_not: Callable[[], str | None]) -> None:
        """The part is asked whenever someone wants to know."""
        self._checks[component] = why_not

    def waiting(self) -> dict[str, str]:
        """What is not ready, and why."""
        answers = {part: why_not() for part, why_not in self._checks.items()}
        return self._waiting | {part: why for part, why in answers.items() if why is not None}

    def document(self) -> dict[str, object]:
        """What `/readyz` answers."""
        waiting = self.waiting()
        ready = (self._ready | set(self._checks)) - set(waiting)
        listed = [{"part": part, "why": why} for part, why in sorted(waiting.items())]
        return {"ready": not waiting, "parts": sorted(ready), "waitingFor": listed}

    def components(self) -> list[dict[str, object]]:
        """Every part with its state, by name."""
        waiting = self.waiting()
        parts = self._ready | set(self._checks) | set(waiting)
        return [{"name": part, "ready": part not in waiting, "message": waiting.get(part)} for part in sorted(parts)]
