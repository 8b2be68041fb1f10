"""Liveness and readiness: `/healthz` says that the process turns, `/readyz` names what is not ready and why."""

from dataclasses import dataclass, field


@dataclass
class Readiness:
    """The parts of the process that must be there before it can serve, each with what it waits for."""

    _waiting: dict[str, str] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)

    def expect(self, part: str, why: str) -> None:
        """The part isn't ready (any more); `why` is a sentence for people and names no secret."""
        self._ready.discard(part)
        self._waiting[part] = why

    def done(self, part: str) -> None:
        """The part is ready."""
        self._waiting.pop(part, None)
        self._ready.add(part)

    @property
    def ready(self) -> bool:
        """Whether nothing is waited for."""
        return not self._waiting

    def document(self) -> dict[str, object]:
        """What `/readyz` answers."""
        waiting = [{"part": part, "why": why} for part, why in sorted(self._waiting.items())]
        return {"ready": self.ready, "parts": sorted(self._ready), "waitingFor": waiting}
