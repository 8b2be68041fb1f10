"""Whatever happens to the operator or between it and the cluster: each attempt runs once, each log is whole."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.operator_kills import Found, Stage, one_run, stage, store_away
from tests.integration.operator.faults import Faults, fault_proxy

_PATIENCE = 40.0
RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/c8s-system/leases/c8s-operator"


def until(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        yield found


def test_an_operator_killed_again_and_again_runs_each_attempt_once(on: Stage) -> None:
    found = Found()
    one_run(on, "kills-1", 5, random.Random(11), found)
    assert found.wrong == []
    assert (found.kills, found.runs) == (5, 1)
    assert found.attempts >= 20


def test_refused_lost_and_cut_off_requests_do_no_harm(on: Stage) -> None:
    trouble = Faults({409: 0.1, 500: 0.1, 503: 0.05}, lost=0.1, watch_bytes=100_000)
    found = Found()
    with fault_proxy(on.cluster, trouble) as on.through:
        one_run(on, "faults-1", 0, random.Random(12), found)
        assert on.operator is not None
        assert on.operator.poll() is None, "it is still the same process"
        on.kill_operator()
    assert found.wrong == []
    assert {"409", "500", "503", "lost", "watch cut"} <= set(trouble.seen), trouble.seen


def test_an_api_server_that_goes_away_and_comes_back_does_no_harm(on: Stage) -> None:
    trouble, found = Faults(), Found()

    def restart_twice() -> None:
        until("the run has begun", (on.folder / "outside-away-1" / "began").exists)
        for _ in range(2):
            trouble.seen["down"] = 0
            trouble.down = True
            until("the operator has asked in vain", lambda: trouble.seen["down"] > 3)
            trouble.down = False
            until("it goes on", lambda: on.call("GET", f"{RUNS}/away-1")["status"]["phase"] != "Pending")

    with fault_proxy(on.cluster, trouble) as on.through:
        one_run(on, "away-1", 0, random.Random(14), found, meanwhile=restart_twice)
        on.kill_operator()
    assert found.wrong == []
    assert trouble.seen["watch down"] > 0


def test_an_object_store_that_fails_for_a_while_costs_no_line_of_a_log(on: Stage) -> None:
    found = Found()

    def lose_the_store() -> None:
        until("the run has begun", (on.folder / "outside-store-1" / "began").exists)
        with store_away(on):
            log = on.folder / "operator.log"
            until("a log waits for the store", lambda: b"waits for the object store" in log.read_bytes())

    one_run(on, "store-1", 0, random.Random(15), found, meanwhile=lose_the_store)
    assert found.wrong == []


@contextmanager
def two_operators(on: Stage, trouble: Faults) -> Iterator[None]:
    """The first of them leads, and reaches the cluster through `trouble`."""
    with fault_proxy(on.cluster, trouble) as through:
        election = ("--leader-elect", "--leader-elect-lease-duration", "5")
        first = on.operator = on.another_operator("first", through, *election)
        second = None
        try:
            until("somebody leads", lambda: bool(holder(on)))
            second = on.another_operator("second", None, *election)
            yield
        finally:
            for process in (first, second):
                if process is not None and process.poll() is None:
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                    process.wait(20)


def holder(on: Stage) -> str:
    try:
        return str(on.call("GET", _LEASE)["spec"].get("holderIdentity") or "")
    except OSError:
        return ""


@pytest.mark.parametrize("how", ["stopped", "partitioned"])
def test_a_leader_that_falls_silent_and_comes_back_does_no_harm(on: Stage, how: str) -> None:
    on.call("POST", "/api/v1/namespaces", {"metadata": {"name": "c8s-system"}})
    trouble, found = Faults(), Found()
    with two_operators(on, trouble):
        led = holder(on)
        assert on.operator is not None
        first = on.operator

        def fall_silent() -> None:
            until("the run has begun", (on.folder / "outside-silent-1" / "began").exists)
            if how == "stopped":
                first.send_signal(signal.SIGSTOP)
            else:
                trouble.partitioned = True
            until("the other leads", lambda: holder(on) not in ("", led))
            if how == "stopped":
                first.send_signal(signal.SIGCONT)
            else:
                trouble.partitioned = False

        one_run(on, "silent-1", 0, random.Random(13), found, meanwhile=fall_silent)
        until("the one that was silent has given up", lambda: first.poll() is not None)
    assert found.wrong == []
    assert found.runs == 1
