"""What the agent of a step tells about it: through the API, which notes it at the Job, and when it has ended itself.

It is the word of the step's own first process, which the commands can forge. So it is never believed against the
kubelet's, see `pod_verdict`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from controller import labels
from controller.operator import names
from controller.operator.decision.pods.status import agent_container, agent_status

if TYPE_CHECKING:
    from controller.run_types.objects import TestCounts

Json = dict[str, Any]

FETCH_FAILED_EXIT_CODE = 3
"""Of an agent that could not fetch what the step needs."""


_FETCHED = ("C8S_FETCH_ARTIFACTS", "C8S_CACHES", "C8S_FETCH_FAILED_TESTS")


@dataclass(frozen=True)
class AgentReport:
    """How far the commands are; all None while that is not known."""

    began: datetime | None = None
    ended: datetime | None = None
    code: int | None = None
    stored: bool | None = None
    """Whether the artifacts are stored; None also for a step without any."""
    held: str = ""
    """Where the step is held: `before`, `after` or `failed`; empty if it is not."""
    tests: TestCounts | None = None
    """How many tests its reports have, once they are stored."""


NOTHING_REPORTED = AgentReport()


def has_gate(pod: Json) -> bool:
    """Whether the commands of the step wait for an agent beside it, which tells when they begin."""
    return (agent_container(pod) or {}).get("name") == names.AGENT_CONTAINER


def fetches(pod: Json) -> bool:
    """Whether the agent of a pod has anything to fetch."""
    variables = (agent_container(pod) or {}).get("env") or []
    environment = {each["name"]: each.get("value") for each in variables}
    return environment.get("C8S_FETCH_SOURCE") != "0" or any(environment.get(name) for name in _FETCHED)


def agent_end(pod: Json | None) -> Json | None:
    """The end of the agent's container, once it has ended for good; None before."""
    return ((agent_status(pod) if pod is not None else {}).get("state") or {}).get("terminated")


def agent_fetch_failure(pod: Json) -> Json | None:
    """The end of an agent that could not fetch what the step needs, also if it was started again since."""
    status = agent_status(pod)
    ends = [(status.get(field) or {}).get("terminated") or {} for field in ("state", "lastState")]
    return next((end for end in ends if end.get("exitCode") == FETCH_FAILED_EXIT_CODE), None)


def read_report(job: Json | None, pod: Json | None) -> AgentReport:
    """The last report of an attempt: the one that the agent left when it ended, or the one noted at the Job."""
    end = agent_end(pod) or {}
    noted = ((job or {}).get("metadata") or {}).get("annotations") or {}
    left = str(end.get("message") or "") if end.get("exitCode") == 0 else ""
    return _parse(left) or _parse(noted.get(labels.AGENT_REPORT, "")) or NOTHING_REPORTED


def _parse(text: str) -> AgentReport | None:
    if not text:
        return None
    try:
        found = json.loads(text)
        return AgentReport(
            _time(found.get("began")),
            _time(found.get("ended")),
            found["code"] if isinstance(found.get("code"), int) else None,
            found["stored"] if isinstance(found.get("stored"), bool) else None,
            str(found.get("held") or ""),
            _test_counts(found.get("tests")),
        )
    except (ValueError, AttributeError, RecursionError):
        return None


_COUNTS = ("total", "failed", "skipped", "warnings")
_MAX_WARNING_LENGTH = 300


def _test_counts(found: object) -> TestCounts | None:
    """What the API has counted, as the agent repeats it; None for anything else."""
    if not isinstance(found, dict) or not all(isinstance(found.get(name), int) for name in _COUNTS):
        return None
    counts = {name: max(0, found[name]) for name in _COUNTS}
    warning = str(found.get("warning") or "")[:_MAX_WARNING_LENGTH]
    return cast("TestCounts", counts | ({"warning": warning} if warning else {}))


def _time(text: object) -> datetime | None:
    """A time with its zone. Raises ValueError for anything else."""
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
