"""What is shown of the CPU and memory of a step."""

from dataclasses import replace
from typing import Any

from tests.support.tui.fakes import step
from workbench.client.decode import decode_run
from workbench.client.models import ResourceUsage, Step
from workbench.report.usage import usage_details

MEBIBYTE = 1024**2
DEFINITION = {"steps": [{"name": "test", "resources": {"memory": "512Mi", "cpu": "1"}}]}
USAGE = ResourceUsage(384 * MEBIBYTE, 1000, 4, 2.0, (0, 128, 384, 256), (0, 500, 990, 1000))


def used(usage: ResourceUsage | None, reason: str | None = None, **times: Any) -> Step:
    found = step("test", (), "Succeeded", duration=times.pop("duration", 10.0))
    return replace(found, attempts=(replace(found.attempts[0], usage=usage, reason=reason),))


def shown(of: Step, **options: Any) -> dict[str, str]:
    return {detail.name: detail.text for detail in usage_details(DEFINITION, of, **options)}


def test_bars_are_between_nothing_and_what_the_step_asks_for() -> None:
    assert shown(used(USAGE)) == {
        "memory": "▁▃▆▅ peak 384.0 MiB of 512.0 MiB, each bar 2.00s",
        "CPU": "▁▅██ peak 1.00 cores of 1.00 cores; at its limit in 2 of 4 bars: it was slowed down and may be faster "
        "with more",
    }
    assert shown(used(USAGE), ascii_only=True)["memory"].startswith("_-*+ peak")


def test_a_step_without_a_sample_says_why() -> None:
    assert shown(used(None, duration=0.5)) == {"usage": "no sample: it was too short"}
    assert shown(used(None)) == {"usage": "no sample: the cluster has no metrics of pods (metrics-server)"}
    assert usage_details(DEFINITION, step("test")) == ()


def test_running_out_of_memory_is_explained_by_the_last_measurement() -> None:
    text = shown(used(USAGE, "OOMKilled"))["out of memory"]
    assert text == (
        "it reached its limit of 512.0 MiB; it used 256.0 MiB when it was measured last, and took the rest at once"
    )
    assert "before it was measured" in shown(used(None, "OOMKilled"))["out of memory"]


def test_usage_is_decoded_from_a_status() -> None:
    usage = {"memory": 1, "cpu": 2, "samples": 3, "interval": 4, "memoryOverTime": [5], "cpuOverTime": "x"}
    steps = [{"name": "a", "attempts": [{"number": 1, "phase": "Running", "usage": usage}]}]
    run = decode_run({"name": "r-1", "status": {"phase": "Running", "steps": steps}})
    assert run.steps[0].attempts[0].usage == ResourceUsage(1, 2, 3, 4, (5,), ())
