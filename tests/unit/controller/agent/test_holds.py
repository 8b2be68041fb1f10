"""How long a step is held: an hour by the agent's own clock, for each hold anew."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.agent.gate import Gate
from controller.agent.step import HOLD_SECONDS, Reporter, await_end
from controller.agent.stop_signal import StopSignal


class Client:
    """Takes the reports of the agent."""

    def __init__(self) -> None:
        self.reports: list[Any] = []

    def report(self, slug: str, attempt: str, document: Any) -> None:
        self.reports.append(document)


class Settings:
    """What the reporter reads."""

    def require(self, name: str) -> str:
        return name

    def optional(self, name: str) -> None:
        return None


class Step(StopSignal):
    """The first process of a step, which answers what it reads, and a clock that passes only while the agent waits.

    `answers`: what it reports after each line that it reads at its gate, and the seconds until then.
    """

    def __init__(self, folder: Path, *answers: tuple[float, str]) -> None:
        self.requested = False
        self.folder = folder
        self.answers = list(answers)
        self.now = 0.0
        self.written: list[tuple[float, str]] = []
        """The lines that were written to it, and when."""

    def clock(self) -> float:
        return self.now

    def tell(self, line: str) -> None:
        descriptor = os.open(self.folder / "report", os.O_RDWR)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    def wait(self, seconds: float | None = None, *files: int) -> bool:
        if select.select(files, [], [], 0)[0]:
            return False
        if (line := self._read_gate()) is not None:
            self.written.append((self.now, line))
            after, answer = self.answers.pop(0)
            self.now += after
            self.tell(answer)
        elif seconds is None:
            # Nothing is going to happen any more: the kubelet ends the pod.
            self.requested = True
        else:
            self.now += seconds
        return self.requested

    def _read_gate(self) -> str | None:
        descriptor = os.open(self.folder / "gate", os.O_RDWR | os.O_NONBLOCK)
        try:
            return os.read(descriptor, 100).decode().strip()
        except BlockingIOError:
            return None
        finally:
            os.close(descriptor)


@pytest.fixture
def client() -> Client:
    return Client()


@contextmanager
def accompany(folder: Path, client: Client, step: Step) -> Iterator[Gate]:
    """A gate with a step behind it, until the end of the step."""
    gate = Gate(str(folder), step.clock)
    reporter = Reporter(Settings(), client, gate)  # type: ignore[arg-type]
    yield gate
    await_end(gate, step, reporter)
    gate.close()


def test_step_that_is_held_before_its_commands_begins_after_an_hour(tmp_path: Path, client: Client) -> None:
    step = Step(tmp_path, (5, "begin\nend 0"))
    with accompany(tmp_path, client, step) as gate:
        gate.set_holds(["before"])
        gate.hold("before")
    assert step.written == [(HOLD_SECONDS, "open")]
    assert (gate.exit_code(), gate.held) == ("0", None)
    assert client.reports[0] == {"held": "before"}


@pytest.mark.parametrize(("code", "at"), [("3", "failed"), ("0", "after")])
def test_step_that_is_held_at_its_end_ends_after_an_hour(tmp_path: Path, client: Client, code: str, at: str) -> None:
    step = Step(tmp_path, (1, f"end {code}"))
    with accompany(tmp_path, client, step) as gate:
        gate.set_holds([at])
        step.tell("begin")
        step.tell(f"held {code}")
    assert step.written == [(HOLD_SECONDS, "go")]
    assert gate.exit_code() == code
    assert client.reports[-1]["held"] == at


def test_each_hold_has_an_hour_of_its_own(tmp_path: Path, client: Client) -> None:
    step = Step(tmp_path, (600, "begin\nheld 3"), (1, "end 3"))
    with accompany(tmp_path, client, step) as gate:
        gate.set_holds(["failed"])
        step.tell("begin")
        step.tell("held 3")
        gate.read_reports()
        step.now = 1800
        gate.release("retry")
    assert step.written == [(1800, "retry"), (2400 + HOLD_SECONDS, "go")]


def test_step_that_is_not_held_has_no_limit(tmp_path: Path, client: Client) -> None:
    step = Step(tmp_path)
    with accompany(tmp_path, client, step) as gate:
        gate.set_holds(["failed"])
        step.tell("begin")
    assert (step.requested, step.written, gate.exit_code()) == (True, [], "")
    assert step.now < 1
