"""What containers use is measured when it is asked for: CPU as a rate between two readings."""

import os
import subprocess
import sys
from pathlib import Path
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


NODE = {"metadata": {"name": "embedded", "labels": {"a": "b"}}}


def write_proc(proc: Path, busy: int, memory: int) -> None:
    proc.mkdir(exist_ok=True)
    ticks = busy * os.sysconf("SC_CLK_TCK")
    (proc / "stat").write_text(f"cpu  {ticks} 0 0 777 99 0 0 0 0 0\ncpu0 1 2\n")
    (proc / "meminfo").write_text(f"MemTotal: {memory + 100} kB\nMemFree: 1 kB\nMemAvailable: 100 kB\n")


async def test_the_node_is_the_whole_machine_since_the_last_reading(tmp_path: Path) -> None:
    clock = Clock()
    write_proc(tmp_path, 10, 1)
    reader = MetricsReader(clock, clock, tmp_path)
    clock.now += 10
    write_proc(tmp_path, 25, 2048)
    found = await reader.read_node(NODE, [])
    assert found["usage"] == {"cpu": "1500000000n", "memory": "2048Ki"}
    assert (found["window"], found["metadata"]["name"], found["metadata"]["labels"]) == (
        "10.000s",
        "embedded",
        {"a": "b"},
    )
    assert "namespace" not in found["metadata"]
    clock.now += 0.1
    assert (await reader.read_node(NODE, []))["usage"] == found["usage"]
    # It is not forgotten while nobody asks.
    clock.now += 1000
    await reader.read([])
    assert (await reader.read_node(NODE, []))["usage"]["cpu"] == "0n"


async def test_where_the_machine_is_not_known_the_node_is_its_pods(tmp_path: Path) -> None:
    clock = Clock()
    reader = MetricsReader(clock, clock, tmp_path / "none")
    containers: list[Any] = [Container(Usage(5.0, 2048)), Container(Usage(2.5, 1024))]
    pods = [MeasuredPod(POD, (("step", each, 990.0),)) for each in containers]
    assert (await reader.read_node(NODE, pods))["usage"] == {"cpu": "750000000n", "memory": "3Ki"}


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
