"""Whatever happens to the operator or between it and the cluster: each attempt runs once, each log is whole."""

from __future__ import annotations

import random
import signal
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.run_controller.kills import Found, one_run, store_away
from bench.run_controller.stage import Json, Process, Stage, stage
from tests.integration.operator.faults import Faults, fault_proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
"""A machine with much other work takes several times as long."""
_TIMEOUT = 120.0
RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/c8s-system/leases/c8s-operator"


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        yield found


def test_repeatedly_killed_operator_runs_each_attempt_once(setup: Stage) -> None:
    found = Found()
    one_run(setup, "kills-1", 5, random.Random(11), found)
    assert found.wrong == []
    assert found.runs == 1
    assert found.kills >= 3, "a fast machine may have ended the run by then"
    assert found.attempts >= 20


def test_refused_lost_and_cut_off_requests_do_no_harm(setup: Stage) -> None:
    trouble = Faults({409: 0.1, 500: 0.1, 503: 0.05}, lost=0.1, watch_bytes=100_000)
    found = Found()
    with fault_proxy(setup.cluster, trouble) as setup.through:
        one_run(setup, "faults-1", 0, random.Random(12), found, layers=3)
        assert setup.operator is not None
        assert setup.operator.poll() is None, "it is still the same process"
        setup.kill_operator()
    assert found.wrong == []
    assert {"409", "500", "503", "lost", "watch cut"} <= set(trouble.seen), trouble.seen


def test_api_server_restarts_do_no_harm(setup: Stage) -> None:
    trouble, found = Faults(), Found()

    def restart_twice() -> None:
        wait_until((setup.folder / "outside-away-1" / "began").exists, _TIMEOUT, what="the start of the run")
        for _ in range(2):
            trouble.seen["down"] = 0
            trouble.down = True
            wait_until(lambda: trouble.seen["down"] > 3, _TIMEOUT, what="the operator has asked in vain")
            trouble.down = False
            wait_until(
                lambda: (setup.call("GET", f"{RUNS}/away-1").get("status") or {}).get("phase") not in (None, "Pending"),
                _TIMEOUT,
                what="it goes on",
            )

    with fault_proxy(setup.cluster, trouble) as setup.through:
        one_run(setup, "away-1", 0, random.Random(14), found, meanwhile=restart_twice)
        setup.kill_operator()
    assert found.wrong == []
    assert trouble.seen["watch down"] > 0


def test_object_store_outage_loses_no_log_line(setup: Stage) -> None:
    found = Found()

    def lose_the_store() -> None:
        wait_until((setup.folder / "outside-store-1" / "began").exists, _TIMEOUT, what="the start of the run")
        with store_away(setup):
            log = setup.folder / "operator.log"
            wait_until(
                lambda: b"is waiting for the object store" in log.read_bytes(),
                _TIMEOUT,
                what="a log waits for the store",
            )

    one_run(setup, "store-1", 0, random.Random(15), found, meanwhile=lose_the_store)
    assert found.wrong == []


def change_status(setup: Stage, name: str, **changes: object) -> None:
    """What a client with too many rights does; returns once that is undone."""
    status = {**changes, "message": "changed by a client"}
    while True:
        run = setup.call("GET", f"{RUNS}/{name}")
        try:
            setup.call("PUT", f"{RUNS}/{name}/status", {**run, "status": {**run["status"], **status}})
            break
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
    wait_until(
        lambda: setup.call("GET", f"{RUNS}/{name}")["status"]["message"] != status["message"],
        _TIMEOUT,
        what="the status is written again",
    )


def test_a_client_that_changes_the_status_does_no_harm(setup: Stage) -> None:
    release = setup.folder / "release"
    commands = [f"until test -e {release}; do sleep 0.05; done", "exit 3"]
    pipeline = {"name": "status", "steps": [{"name": "a", "image": "none:1", "commands": commands}]}
    run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "status-1"}}
    setup.call("POST", RUNS, {**run, "spec": {"pipeline": pipeline}})
    setup.start_operator()

    def status() -> Json:
        return setup.call("GET", f"{RUNS}/status-1").get("status") or {}

    wait_until(
        lambda: [each["phase"] for each in status().get("steps", ())] == ["Running"], _TIMEOUT, what="the step runs"
    )
    change_status(setup, "status-1", phase="Succeeded")
    change_status(setup, "status-1", phase="Failed", steps=[])
    change_status(setup, "status-1", steps=[])
    release.touch()
    wait_until(lambda: status()["phase"] != "Running", _TIMEOUT, what="the end of the run")
    final = status()
    assert (final["phase"], final["steps"][0]["attempts"][0]["exitCode"]) == ("Failed", 3)
    for changes in ({"phase": "Running"}, {"steps": []}):
        change_status(setup, "status-1", **changes)
        assert status() == final
    setup.kill_operator()


class Restarted:
    """An operator that is started again when it ends, as a cluster does it: it may be too slow to keep its lease."""

    def __init__(self, start: Callable[[], Process]) -> None:
        self._process, self._over = start(), threading.Event()
        self._thread = threading.Thread(target=self._restart, args=(start,), name="restart")
        self._thread.start()

    def _restart(self, start: Callable[[], Process]) -> None:
        while not self._over.wait(0.2):
            if self._process.poll() is not None:
                self._process = start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        end(self._process)


def end(process: Process) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(20)


@contextmanager
def two_operators(setup: Stage, trouble: Faults) -> Iterator[Process]:
    """The first of them, which leads and reaches the cluster through `trouble`."""
    with fault_proxy(setup.cluster, trouble) as through:
        election = ("--leader-elect", "--leader-elect-lease-duration", "5")
        first = setup.another_operator("first", through, *election)
        second = None
        try:
            wait_until(lambda: bool(holder(setup)), _TIMEOUT, what="a leader")
            second = Restarted(lambda: setup.another_operator("second", None, *election))
            yield first
        finally:
            end(first)
            if second is not None:
                second.end()


def holder(setup: Stage) -> str:
    try:
        return str(setup.call("GET", _LEASE)["spec"].get("holderIdentity") or "")
    except OSError:
        return ""


@pytest.mark.parametrize("how", ["stopped", "partitioned"])
def test_a_leader_that_falls_silent_and_comes_back_does_no_harm(setup: Stage, how: str) -> None:
    setup.call("POST", "/api/v1/namespaces", {"metadata": {"name": "c8s-system"}})
    trouble, found = Faults(), Found()
    with two_operators(setup, trouble) as first:
        led = holder(setup)

        def fall_silent() -> None:
            wait_until((setup.folder / "outside-silent-1" / "began").exists, _TIMEOUT, what="the start of the run")
            if how == "stopped":
                first.send_signal(signal.SIGSTOP)
            else:
                trouble.partitioned = True
            wait_until(lambda: holder(setup) not in ("", led), _TIMEOUT, what="the other leads")
            if how == "stopped":
                first.send_signal(signal.SIGCONT)
            else:
                trouble.partitioned = False

        one_run(setup, "silent-1", 0, random.Random(13), found, meanwhile=fall_silent, layers=3, starts=False)
        wait_until(lambda: first.poll() is not None, _TIMEOUT, what="the one that was silent has given up")
    assert found.wrong == []
    assert found.runs == 1
