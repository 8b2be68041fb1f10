"""What the operator's part of the process tells at `/metrics`, under the names that dashboards for controllers know."""

from __future__ import annotations

from collections.abc import Callable

from controller.api.metrics import ApiMetrics
from controller.kube import Histogram, WorkQueue
from controller.logs import LogCollector
from controller.operator import RunController
from controller.run_types.keys import RunKey


def register_operator_metrics(meter: ApiMetrics, operator: RunController, log_collector: LogCollector) -> None:
    """Let the meter read the operator's and the log keeper's own numbers when it is asked."""
    queues = operator.queues

    def of_queues(read: Callable[[WorkQueue[RunKey]], float]) -> Callable[[], dict[str, float]]:
        return lambda: {name: read(queue) for name, queue in queues.items()}

    def spreads(read: Callable[[WorkQueue[RunKey]], Histogram]) -> Callable[[], dict[str, Histogram]]:
        return lambda: {name: read(queue) for name, queue in queues.items()}

    meter.gauges |= {
        "workqueue_depth": ("Keys that wait.", "name", of_queues(len)),
        "workqueue_longest_running_processor_seconds": (
            "For how long the key has been worked on that is worked on longest.",
            "name",
            of_queues(lambda queue: queue.metrics.longest_running(queue.now())),
        ),
        "workqueue_unfinished_work_seconds": (
            "How much work is in progress.",
            "name",
            of_queues(lambda queue: queue.metrics.unfinished_work(queue.now())),
        ),
        "c8s_logs": ("Logs by what happens to them.", "state", lambda: {"followed": log_collector.following}),
    }
    meter.counters |= {
        "workqueue_adds": ("Keys that were added.", "name", of_queues(lambda queue: queue.metrics.adds)),
        "workqueue_retries": ("Keys that failed.", "name", of_queues(lambda queue: queue.metrics.retries)),
        "c8s_log_bytes": (
            "Bytes of logs, masked, by what was done.",
            "state",
            lambda: {"kept": log_collector.bytes_collected},
        ),
    }
    meter.histograms |= {
        "workqueue_queue_duration_seconds": (
            "From a key's being added to its being taken.",
            "name",
            spreads(lambda queue: queue.metrics.queue_duration),
        ),
        "workqueue_work_duration_seconds": (
            "How long a key is worked on.",
            "name",
            spreads(lambda queue: queue.metrics.work_duration),
        ),
        "c8s_step_duration_seconds": (
            "From the creation of a step's first Job to its end.",
            "phase",
            lambda: operator.step_durations,
        ),
    }
