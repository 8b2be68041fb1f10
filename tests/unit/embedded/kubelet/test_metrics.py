"""What containers use is measured when it is asked for: CPU as a rate between two readings."""

import os
import subprocess
import sys
from typing import Any

import pytest

from embedded.kubelet.metrics import MeasuredPod, MetricsReader
from embedded.kubelet.runtime.interface import Usage
from embedded.kubelet.runtime.process.usage import tree_usage

BURN = """
import time
data = bytearray(50_000_000)
while time.process_time() < 0.2:
    pass
print("ready", flush=True)
time.sleep(60)
"""
POD = {"metadata": {"name": "p", "namespace": "default", "labels": {"a": "b"}}}


class Container:
    def __init__(self, *usages: Usage | None) -> None:
        self.id = f"test://{id(self)}"
        self._usages = list(usages)

    async def usage(self) -> Usage | None:
        return self._usages.pop(0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_first_reading_is_a_rate_since_the_start_and_later_ones_since_the_last() -> None:
    clock = Clock()
    reader = MetricsReader(clock, clock)
    container: Any = Container(Usage(5.0, 2048), Usage(6.0, 4096))
    pods = [MeasuredPod(POD, (("step", container, 990.0),))]
    (first,) = await reader.read(pods)
    assert first["containers"] == [{"name": "step", "usage": {"cpu": "500000000n", "memory": "2Ki"}}]
    clock.now += 0.1
    assert (await reader.read(pods))[0]["containers"] == first["containers"], "too soon for another rate"
    clock.now += 3.9
    (second,) = await reader.read(pods)
    assert second["containers"] == [{"name": "step", "usage": {"cpu": "250000000n", "memory": "4Ki"}}]
    assert (second["window"], second["metadata"]["labels"]) == ("4.000s", {"a": "b"})


async def test_what_has_ended_or_can_not_be_measured_is_left_out() -> None:
    container: Any = Container(None)
    assert await MetricsReader().read([MeasuredPod(POD, (("step", container, 0.0),)), MeasuredPod(POD, ())]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_tree_of_a_process_is_measured_with_its_children() -> None:
    command = ["sh", "-c", '"$0" -c "$1" & wait', sys.executable, BURN]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        usage = tree_usage(process.pid)
        assert usage is not None
        assert usage.memory > 50_000_000
        assert usage.cpu_seconds >= 0.15
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()
    assert tree_usage(process.pid) is None
