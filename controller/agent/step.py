"""`step`: runs beside the container of a step: fetches what it needs, opens its gate, and stores what it leaves.

The kubelet notices the end of a container up to a second late, and ends a sidecar with SIGTERM after that. So the
first process of the step reports its end through a pipe, and its artifacts are stored at once. The agent reports to the
API what the kubelet does not see, or not yet: that the commands began, and that they have ended.
"""

# ruff: noqa: PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import json

from .client import AgentClient
from .errors import AgentError, FetchError, NotHeldError, RequestRejectedError
from .gate import Gate
from .settings import AgentSettings
from .stop_signal import StopSignal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BEGIN_DELAY = 0.05
"""Seconds: a step that ends sooner is reported once, with its end."""
_END_DELAY = 0.02
"""Seconds: where the kubelet notices the end as quickly, it need not be reported."""
_RETRY_DELAY = 2.0
HOLD_SECONDS = 3600.0
"""A held step goes on by itself after that."""
_INTERRUPTED = "the agent was ended while it fetched them, perhaps because it ran out of memory"


def run_step(settings: AgentSettings, *, early: bool = False) -> None:
    """Accompany the step from its preparation to its end.

    Args:
        early: whether its pod was made before the step is due, and has to wait for that.

    Raises:
        FetchError: what the step needs could not be fetched, and it did not begin.
        AgentError: what it leaves could not be stored.
    """
    stop = StopSignal()
    stop.ends_at_once = True
    gate, client = Gate(settings.require("C8S_GATE")), AgentClient(settings)
    gate.set_holds(settings.comma_list("C8S_HOLD"))
    if not gate.has_fetched:
        _prepare(settings, client, gate, stop, early=early)
        gate.finish_fetching()
    stop.ends_at_once = False
    if gate.holds_before() and not gate.was_opened:
        gate.hold("before")
    elif gate.began is None:
        gate.open()
    reporter = Reporter(settings, client, gate)
    await_end(gate, stop, reporter)
    if settings.flag("C8S_STORE_AFTER_CONTAINER"):
        # Only then may this user read what the step's user has left.
        stop.wait()
    problem = _store_artifacts(settings, client, reporter)
    if gate.ended is not None and not stop.wait(_END_DELAY):
        reporter.try_report()
    _send_reports(settings, client, gate, reporter)
    _store_rest(settings, client, gate, incomplete=problem is not None)
    while gate.ended is not None and not reporter.has_reported_end and not stop.requested:
        reporter.try_report()
        stop.wait(_RETRY_DELAY)
    # A sidecar that ends before it is asked to is started again.
    stop.wait()
    if problem is not None:
        raise problem
    reporter.leave_message()


def _prepare(settings: AgentSettings, client: AgentClient, gate: Gate, stop: StopSignal, *, early: bool) -> None:
    """Fetch what the step needs, or refuse to let it begin. Raises FetchError."""
    reason = gate.refusal
    if reason is None:
        try:
            _bring(settings, client, gate, early=early)
        except AgentError as error:
            reason = str(error)
        except OSError as error:
            reason = error.strerror or type(error).__name__
    if reason is None:
        return
    stop.ends_at_once = False
    gate.refuse(reason)
    if not settings.flag("C8S_GATED_SERVICES"):
        stop.wait()
    # Services, and the step after them, are not started before this container has passed its probe: it can't.
    raise FetchError(reason)


def _bring(settings: AgentSettings, client: AgentClient, gate: Gate, *, early: bool) -> None:
    """Fetch what the step needs: first what is there before its dependencies have ended, then what they made.

    Raises AgentError or OSError if that is not possible, or if an earlier agent was ended in the midst of it.
    """
    from .transfer.fetch import fetch_results, fetch_source

    if not gate.has("source"):
        _begin(gate, "source")
        # A spare copy of the source is left to a step that is due.
        fetch_source(settings, client, use_spare=not early)
        gate.finish("source")
    if early:
        from .due import wait_until_due

        gate.set_holds(wait_until_due(settings, client))
    _begin(gate, "results")
    fetch_results(settings, client)


def _begin(gate: Gate, part: str) -> None:
    if not gate.begin(part):
        raise FetchError(_INTERRUPTED)


def await_end(gate: Gate, stop: StopSignal, reporter: Reporter) -> None:
    """Wait until the step has reported its end, or the kubelet has noticed it. A hold has a limit."""
    clock = gate.clock
    while gate.ended is None and not stop.requested:
        due = [moment for moment in (reporter.due(), _hold_limit(gate)) if moment is not None]
        stop.wait(max(0.0, min(due) - clock()) if due else None, gate.reports)
        gate.read_reports()
        limit = _hold_limit(gate)
        if limit is not None and clock() >= limit:
            gate.release("go")
            gate.held_since = clock()
        if gate.ended is None and (report_at := reporter.due()) is not None and clock() >= report_at:
            reporter.try_report()
    gate.read_reports()


def _hold_limit(gate: Gate) -> float | None:
    """When a held step goes on by itself; None for one that is not held."""
    return None if gate.held is None else gate.held_since + HOLD_SECONDS


def _store_artifacts(settings: AgentSettings, client: AgentClient, reporter: Reporter) -> AgentError | None:
    """Store the artifacts of the step; the reason why they are incomplete, if they are."""
    if settings.require("C8S_ARTIFACTS") == "[]" and not settings.optional("C8S_OPTIONAL_ARTIFACTS"):
        return None
    # Not before the gate is open: importing it takes time.
    from .transfer.upload import store_artifacts

    try:
        store_artifacts(settings, client)
    except AgentError as error:
        reporter.stored = False
        return error
    reporter.stored = True
    return None


def _send_reports(settings: AgentSettings, client: AgentClient, gate: Gate, reporter: Reporter) -> None:
    """Send the reports of tests, for which no other step waits, and report what is in them."""
    if not settings.optional("C8S_REPORTS"):
        return
    from .transfer.reports import send_reports

    reporter.tests = send_reports(settings, client, gate.exit_code())
    if reporter.tests is not None:
        reporter.try_report()


def _store_rest(settings: AgentSettings, client: AgentClient, gate: Gate, *, incomplete: bool) -> None:
    """Store what no other step waits for."""
    if settings.optional("C8S_CACHES") or settings.flag("C8S_KEEP_WORKSPACE"):
        from .transfer.upload import store_rest

        store_rest(settings, client, gate.exit_code(), incomplete=incomplete)


class Reporter:
    """Reports to the API how far the step is, and at last to the kubelet by the container's termination message.

    `stored`: whether the artifacts are stored; None before, and for a step without any.
    """

    def __init__(self, settings: AgentSettings, client: AgentClient, gate: Gate) -> None:
        self._attempt = settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT")
        self._message_file = settings.optional("C8S_MESSAGE_FILE")
        self._client = client
        self._gate = gate
        self.stored: bool | None = None
        self.tests: dict[str, Any] | None = None
        """What the API has counted in the reports of tests, once they are stored."""
        self.has_reported_end = False
        self._reported: tuple[str | None, str | None] = (None, None)
        self._pending: tuple[str | None, str | None] = (None, None)
        self._due: float | None = None

    def due(self) -> float | None:
        """When to report how far the step is; None if the API knows that."""
        state = self._gate.began, self._gate.held
        if state == self._reported:
            self._due = None
        elif state != self._pending or self._due is None:
            self._due = self._gate.clock() + (0.0 if self._gate.held else _BEGIN_DELAY)
        self._pending = state
        return self._due

    def try_report(self) -> bool:
        """Report once; False if no answer came, and it is worth another try."""
        state = self._gate.began, self._gate.held
        try:
            self._client.report(*self._attempt, self._document())
        except RequestRejectedError as error:
            print(f"the state of the step is not reported: {error}", flush=True)
        except AgentError:
            self._due = self._gate.clock() + _RETRY_DELAY
            return False
        self._reported = state
        self.has_reported_end = self._gate.ended is not None
        return True

    def leave_message(self) -> None:
        """Leave the report where the kubelet reads it."""
        if self._message_file is not None:
            with open(self._message_file, "w", encoding="utf-8") as file:
                json.dump(self._document(), file)

    def _document(self) -> dict[str, Any]:
        code = self._gate.exit_code() or (self._gate.held_code if self._gate.held else None)
        found = {
            "began": self._gate.began,
            "ended": self._gate.ended,
            "code": int(code) if code else None,
            "stored": self.stored,
            "held": self._gate.held,
            "tests": self.tests,
        }
        return {name: value for name, value in found.items() if value is not None}


def continue_step(settings: AgentSettings, action: str) -> None:
    """Let a step that is held go on, beside the agent that accompanies it. Raises NotHeldError."""
    if not Gate(settings.require("C8S_GATE")).release(action):
        raise NotHeldError(f"the step is not held where it could {action}")
