"""Runs in every state, at a time that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from workbench.client import (
    Attempt,
    AttemptTimes,
    FirstFailure,
    LogSummary,
    Run,
    Step,
    Summary,
)

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

_ENDED = ("Succeeded", "Failed", "Skipped", "Cancelled")


def step(
    name: str,
    depends_on: tuple[str, ...] = (),
    phase: str = "Pending",
    *,
    started_ago: float = 60,
    duration: float = 1.5,
    message: str | None = None,
    first_failure: FirstFailure | None = None,
    containers: tuple[str, ...] = ("step",),
    attempts: int = 1,
) -> Step:
    """A step that started `started_ago` seconds ago."""
    started = NOW - timedelta(seconds=started_ago)
    ended = started + timedelta(seconds=duration) if phase in _ENDED else None
    times = AttemptTimes(created=started, scheduled=started, running=started, finished=ended)
    log = LogSummary(9, 99, None, True, first_failure) if phase in _ENDED else None
    ran = phase in ("Running", "Succeeded", "Failed")
    made = tuple(
        Attempt(n + 1, None, None, phase, None, message, 1 if phase == "Failed" else 0, times, containers, log)
        for n in range(attempts)
    )
    return Step(
        name, name, depends_on, False, phase, None, message, started if ran else None, ended, (), made if ran else ()
    )


def run(
    name: str,
    phase: str,
    steps: Iterable[Step],
    *,
    created_ago: float = 65,
    duration: float = 12.3,
    message: str | None = None,
    branch: str = "main",
) -> Run:
    """A run that was made `ago` seconds ago."""
    created = NOW - timedelta(seconds=created_ago)
    steps = tuple(steps)

    def count(*phases: str) -> int:
        return sum(one.phase in phases for one in steps)

    summary = Summary(
        len(steps), count("Succeeded"), count("Failed"), count("Skipped"), count("Cancelled"),
        count("Running"), count("Pending"),
    )  # fmt: skip
    return Run(
        name=name, namespace="default", uid=name, number=int(name.rsplit("-", 1)[-1]), pipeline=name.rsplit("-", 1)[0],
        created_at=created, resource_version="1", branch=branch, commit="1a2b3c4d5e-dirty", event="push", params={},
        priority=None, triggered_by=None, rerun_of=None, cancel_requested=False, definition=None, phase=phase,
        reason=None, message=message, start_time=created,
        completion_time=created + timedelta(seconds=duration) if phase in _ENDED else None,
        summary=summary, images="ignored", runtime="process://0.1", steps=steps, raw={},
    )  # fmt: skip


def webshop(phase: str = "Running") -> Run:
    """Twelve steps in mid-run."""
    return run(
        "webshop-42",
        phase,
        [
            step("clone", (), "Succeeded", started_ago=64, duration=0.8),
            step("deps", ("clone",), "Succeeded", started_ago=63, duration=6.2),
            step("scan", ("clone",), "Succeeded", started_ago=63, duration=14.9),
            step("lint", ("deps",), "Succeeded", started_ago=56, duration=3.1),
            step("unit", ("deps",), "Failed", started_ago=56, duration=21.4, message="exit code 1",
                 first_failure=FirstFailure(4, "tests/test_cart.py:31: AssertionError: 2 != 3")),
            step("build-api", ("deps",), "Succeeded", started_ago=56, duration=31.0),
            step("build-web", ("deps",), "Running", started_ago=56),
            step("image", ("build-api", "build-web")),
            step("integration", ("image",)),
            step("end-to-end", ("image",)),
            step("publish", ("lint", "unit", "integration", "end-to-end", "scan"), "Skipped",
                 message="skipped because unit failed"),
            step("notify", ("publish",), "Skipped", message="skipped because unit failed"),
        ],
        message="5 of 12 steps done, 1 failed, 1 running",
    )  # fmt: skip


def hello(number: int = 7, phase: str = "Succeeded", branch: str = "main", created_ago: float = 3600) -> Run:
    return run(
        f"hello-{number}",
        phase,
        [
            step("greet", (), phase, started_ago=created_ago),
            step("count", ("greet",), phase, started_ago=created_ago),
            step("bye", ("count",), phase, started_ago=created_ago),
        ],
        created_ago=created_ago,
        duration=1.42,
        message="3 of 3 steps succeeded",
        branch=branch,
    )


UNIT_LINES = [
    "$ python -m pytest -q",
    "\x1b[32mtests/test_price.py ............\x1b[0m  [ 44%]",
    "\x1b[31mtests/test_cart.py ......F.....\x1b[0m   [ 88%]",
    "tests/test_cart.py:31: AssertionError: 2 != 3",
    "",
    "\x1b[1;31mFAILED\x1b[0m tests/test_cart.py::test_total - AssertionError: 2 != 3",
    "\x1b[31m1 failed\x1b[0m, \x1b[32m26 passed\x1b[0m in 20.61s",
]
