"""Kills the controller at every write that follows a delivery, before and after it is carried out.

One process has all roles: receiver, operator and API. A proxy between it and the cluster counts its writes after a
delivery, and kills the process with SIGKILL at the n-th: before it reaches the cluster, or when the cluster has done it
and before the answer arrives. The forge delivers again until it is answered, as forges and their users do. Each
delivery has to end in exactly one run, each step of which ran once, and in one final commit status at the forge.

    .venv/bin/python bench/webhooks/kills.py [--every N] [--rounds N]
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.machine import describe
from bench.webhooks.deliveries import FINAL, SPACE, Json, Stage, stage
from tests.integration.operator.faults import Faults, fault_proxy
from tests.support.waiting import wait_until

_TIMEOUT = 60.0
_NOT_COUNTED = ("tokenreviews", "subjectaccessreviews", "/events")
"""Writes that leave nothing behind, or nothing that matters."""


@dataclass
class Killer:
    """Kills the controller at one write. `is_after`: once the write is carried out."""

    on: Stage
    number: int = 0
    is_after: bool = False
    count: int = 0
    kills: int = 0
    places: Counter[str] = field(default_factory=Counter)
    _armed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, number: int, *, is_after: bool) -> None:
        with self._lock:
            self.number, self.is_after, self.count, self._armed = number, is_after, 0, True

    def disarm(self) -> int:
        """How many writes there were."""
        with self._lock:
            self._armed = False
            return self.count

    def on_write(self, method: str, path: str, is_done: bool) -> bool:
        """Called by the proxy: whether the controller was killed, so that the connection is cut."""
        with self._lock:
            if not self._armed or any(each in path for each in _NOT_COUNTED):
                return False
            if not is_done:
                self.count += 1
            if is_done != self.is_after or self.count != self.number:
                return False
            self._armed = False
            self.kills += 1
            parts = path.split("/")
            self.places[f"{method} {next((p for p in reversed(parts) if p.isalpha() and len(p) > 3), path)}"] += 1
        self.on.kill()
        return True


@dataclass
class Result:
    """What was found of all deliveries."""

    deliveries: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)


class Deliveries:
    """Sends deliveries, and looks at what came of each."""

    def __init__(self, on: Stage, killer: Killer) -> None:
        self._on = on
        self._killer = killer
        self.result = Result()

    def one(self, number: int, *, is_after: bool) -> int:
        """One delivery with a kill at its n-th write, 0 for none; the number of writes until its end."""
        on, guid = self._on, f"delivery-{self.result.deliveries}"
        self.result.deliveries += 1
        commit = on.commit()
        self._killer.arm(number, is_after=is_after)
        answer = self._until(lambda: on.deliver(commit, guid), f"{guid} is answered")
        (name,) = answer["runs"]

        def ended() -> Json | None:
            run = on.call("GET", f"{SPACE}/pipelineruns/{name}")
            return run if (run.get("status") or {}).get("phase") in FINAL else None

        run = self._until(ended, f"{name} ends")
        context = (commit, "c8s/hello")
        self._until(lambda: on.forge.statuses.get(context, [""])[-1] in ("success", "failure"), f"{name} is reported")
        self._until(lambda: "said" in str(_annotations(on, name).get("c8s.dev/reported")), "the report is recorded")
        writes = self._killer.disarm()
        self._check(guid, name, run, on.forge.statuses[context], f"kill at write {number}, after: {is_after}")
        return writes

    def _until(self, condition: object, what: str) -> Json:
        """Wait for a condition, with a new process whenever the last was killed."""

        def check() -> object:
            if self._on.controller.poll() is not None:
                self._on.start()
                wait_until(self._on.is_ready, _TIMEOUT, what="the controller is ready again")
            return condition()  # type: ignore[operator]

        return wait_until(check, _TIMEOUT, what=what)  # type: ignore[return-value]

    def _check(self, guid: str, name: str, run: Json, said: list[str], how: str) -> None:
        on, wrong = self._on, self.result.wrong
        runs = on.call("GET", f"{SPACE}/pipelineruns")["items"]
        same = [each["metadata"]["name"] for each in runs if each["spec"].get("trigger", {}).get("delivery") == guid]
        if same != [name]:
            wrong.append(f"{how}: {guid} has the runs {same}")
        if run["status"]["phase"] != "Succeeded":
            wrong.append(f"{how}: {name} is {run['status']['phase']}: {run['status'].get('message')}")
        attempts = [len(step.get("attempts") or ()) for step in run["status"]["steps"]]
        if attempts != [1, 1]:
            wrong.append(f"{how}: the steps of {name} have {attempts} attempts")
        final = said.index("success") if "success" in said else 0
        if set(said[final:]) != {"success"}:
            wrong.append(f"{how}: the forge received {said} of {name}")
        number = (run["metadata"].get("labels") or {}).get("c8s.dev/run-number")
        numbers = [(each["metadata"].get("labels") or {}).get("c8s.dev/run-number") for each in runs]
        if number is None or numbers.count(number) != 1:
            wrong.append(f"{how}: {name} has the number {number}, of {numbers}")


def _annotations(on: Stage, name: str) -> Json:
    found: Json = on.call("GET", f"{SPACE}/pipelineruns/{name}")["metadata"].get("annotations") or {}
    return found


def kill_at_writes(folder: Path, *, every: int = 1, rounds: int = 1) -> Result:
    """A kill at every n-th write, before and after it, so many times."""
    # A connection that was cut off is no news here.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    trouble = Faults()
    with stage(folder) as on, fault_proxy(on.cluster, trouble) as on.through:
        killer = Killer(on)
        trouble.on_write = killer.on_write
        on.start()
        wait_until(on.is_ready, _TIMEOUT, what="the controller is ready")
        deliveries = Deliveries(on, killer)
        deliveries.one(0, is_after=False)
        # Of the second: the first one also waits for imports and lists.
        writes = deliveries.one(0, is_after=False)
        for _ in range(rounds):
            for number in range(1, writes + 1, every):
                for is_after in (False, True):
                    deliveries.one(number, is_after=is_after)
        result = deliveries.result
        result.kills, result.places = killer.kills, killer.places
        on.kill()
        return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills the controller at the writes that follow deliveries.")
    parser.add_argument("--every", type=int, default=1, help="only at every n-th write")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    print(describe())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_at_writes(Path(folder), every=given.every, rounds=given.rounds)
    took = time.monotonic() - began
    print(f"{found.deliveries} deliveries, {found.kills} kills, {len(found.wrong)} wrong, {took:.0f} s")
    for place, count in sorted(found.places.items()):
        print(f"  {count} at {place}")
    for each in found.wrong:
        print(f"  {each}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
