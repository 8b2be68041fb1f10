"""What was reported to a forge of a run, as the run's annotation has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller import labels
from controller.forges.report import Report


@dataclass(frozen=True)
class Reported:
    """What was said last.

    Attributes:
        said: the digest of the report, by context.
        checks: the id of the check run, by context.
        problem: why the forge refused the last one, as a sentence.
    """

    said: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Reported:
        """As the annotation of the run says; nothing, if that is damaged."""
        try:
            found = json.loads((run["metadata"].get("annotations") or {}).get(labels.REPORTED) or "{}")
            said = {str(context): str(digest) for context, digest in (found.get("said") or {}).items()}
            checks = {str(context): int(check) for context, check in (found.get("checks") or {}).items()}
            return cls(said, checks, str(found.get("problem") or ""))
        except (ValueError, TypeError, AttributeError):
            return cls()

    def after(self, report: Report, check: int | None, problem: str) -> Reported:
        """The same once this report was sent."""
        checks = {**self.checks, report.context: check} if check is not None else self.checks
        return Reported({**self.said, report.context: report.digest}, checks, problem)

    def to_json(self) -> str:
        """The value of the annotation."""
        more: dict[str, Any] = {"checks": dict(self.checks)} if self.checks else {}
        more |= {"problem": self.problem} if self.problem else {}
        return json.dumps({"said": dict(self.said), **more}, separators=(",", ":"))
