"""Gathering what the card of a failed step shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.tui.fakes import NOW, FakeController, run, step
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import FirstFailure, LogSummary, Run, Step, StepCommand, StreamKey
from workbench.report.failure_card import CardLine, FailedCommand
from workbench.tui.services import failure_cards
from workbench.tui.services.failure_cards import FailedStep, gather_card, read_tail

KEY = StreamKey("test", 1, "step")
FAILED = step("test", (), "Failed", message="exit code 1", first_failure=FirstFailure(2, "boom", "src/a.py", 7))
RUN = run("shop-8", "Failed", [FAILED])
GREEN = run("shop-7", "Succeeded", [step("test", (), "Succeeded")])


class LoggingController(FakeController):
    """Has a log of its own for each run; an error in place of one is raised."""

    def __init__(self, logs: dict[str, list[str] | ClientError]) -> None:
        super().__init__()
        self.logs_by_run = logs
        self.tails: list[int | None] = []

    def _lines(self, run: str) -> list[str]:
        found = self.logs_by_run[run]
        if isinstance(found, ClientError):
            raise found
        return found

    async def logs(self, run: str, step: str, *, tail: int | None = None, **_: Any) -> AsyncGenerator[str, None]:
        self.tails.append(tail)
        for line in self._lines(run)[-(tail or 0) :]:
            yield line

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        for line in self._lines(run):
            yield f"{line}\n".encode()


def failed_step(green: Run | None = GREEN) -> FailedStep:
    return FailedStep(RUN, FAILED, KEY, green, KEY if green is not None else None)


def of_size(made: Step, lines: int, size: int) -> Step:
    return replace(made, attempts=(replace(made.attempts[0], log=LogSummary(lines, size, None, True, None)),))


def test_card_has_command_lines_and_difference(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x\n")
    controller = LoggingController({"shop-8": ["\x1b[31ma\x1b[0m", "boom"], "shop-7": ["a", "fine"]})
    controller.step_commands["test"] = [StepCommand(0, "make test", 1, NOW, NOW, 3)]
    card = asyncio.run(gather_card(controller, failed_step(), tmp_path))
    assert card.command == FailedCommand("make test", 0.0, 3)
    assert card.lines == (CardLine(1, "a"), CardLine(2, "boom", failing=True))
    assert card.baseline is not None
    assert card.baseline.difference is not None
    assert (card.baseline.difference.line, card.baseline.difference.left) == (2, "fine")
    assert card.source is not None
    assert card.source.label == "src/a.py:7"
    assert card.baseline.changes is None


def test_log_that_expired_is_explained(tmp_path: Path) -> None:
    controller = LoggingController({"shop-8": ["a", "boom"], "shop-7": NotFoundError("gone")})
    card = asyncio.run(gather_card(controller, failed_step(), tmp_path))
    assert card.baseline is not None
    assert card.baseline.problem == "its log is no longer stored"
    assert card.source is None


def test_unreadable_log_leaves_the_failing_line(tmp_path: Path) -> None:
    controller = LoggingController({"shop-8": ClientError("the connection broke"), "shop-7": ["a"]})
    card = asyncio.run(gather_card(controller, failed_step(), tmp_path))
    assert card.problem == "the connection broke"
    assert card.lines == (CardLine(2, "boom", failing=True),)


def test_only_the_end_of_a_long_log_is_requested() -> None:
    lines = [f"{n:09}" for n in range(1, 100_001)]
    controller = LoggingController({"shop-8": lines})
    made = of_size(FAILED, 100_000, 1_000_000)
    tail = asyncio.run(read_tail(controller, "shop-8", made, KEY))
    assert controller.tails == [26_214]
    assert (tail.lines[-1], tail.lines[0]) == ("000100000", f"{tail.first:09}")
    assert sum(len(line) + 1 for line in tail.lines) <= failure_cards.MAX_LOG_BYTES


def test_only_the_end_of_a_log_of_unknown_size_is_kept() -> None:
    lines = [f"{n:09}" for n in range(1, 50_001)]
    controller = LoggingController({"shop-8": lines})
    made = of_size(FAILED, 0, 0)
    tail = asyncio.run(read_tail(controller, "shop-8", made, KEY))
    assert (tail.lines[-1], tail.lines[0]) == ("000050000", f"{tail.first:09}")
    assert len(tail.lines) == failure_cards.MAX_LOG_BYTES // 10


def test_long_line_is_cut() -> None:
    controller = LoggingController({"shop-8": ["x" * 1_000_000, "end"]})
    tail = asyncio.run(read_tail(controller, "shop-8", of_size(FAILED, 2, 0), KEY))
    assert (tail.first, tail.lines) == (2, ("end",))


def test_empty_log_has_no_lines() -> None:
    controller = LoggingController({"shop-8": []})
    assert asyncio.run(read_tail(controller, "shop-8", FAILED, KEY)).lines == ()
