"""The operator's and the log collector's metrics, under the names that dashboards for controllers expect."""

from __future__ import annotations

from collections.abc import Callable

from controller.api.metrics import ApiMetrics
from controller.kube import WorkQueue
from controller.logs import LogCollector
from controller.operator import RunController
from controller.run_types.keys import RunKey


def register_operator_metrics(metrics: ApiMetrics, operator: RunController, log_collector: LogCollector) -> None:
    """Exposes the values that the operator and the log collector keep themselves."""
    queues = operator.queues

    def of_queues(read: Callable[[WorkQueue[RunKey]], float]) -> Callable[[], dict[str, float]]:
        return lambda: {name: read(queue) for name, queue in queues.items()}

    metrics.add_gauge("workqueue_depth", "Keys in the queue.", "name", of_queues(len))
    metrics.add_gauge(
        "workqueue_longest_running_processor_seconds",
        "How long the longest running reconcile has been running.",
        "name",
        of_queues(lambda queue: queue.metrics.longest_running(queue.now())),
    )
    metrics.add_gauge(
        "workqueue_unfinished_work_seconds",
        "Sum of the time that running reconciles have been running.",
        "name",
        of_queues(lambda queue: queue.metrics.unfinished_work(queue.now())),
    )
    metrics.add_gauge("c8s_logs", "Logs by state.", "state", lambda: {"followed": log_collector.following})
    metrics.add_counter(
        "workqueue_adds", "Keys added to the queue.", "name", of_queues(lambda queue: queue.metrics.adds)
    )
    metrics.add_counter(
        "workqueue_retries", "Keys added again after a failure.", "name", of_queues(lambda queue: queue.metrics.retries)
    )
    metrics.add_counter(
        "c8s_log_bytes", "Bytes of masked logs.", "state", lambda: {"kept": log_collector.bytes_collected}
    )
    metrics.add_histogram(operator.queue_durations.queue)
    metrics.add_histogram(operator.queue_durations.work)
    for histogram in operator.durations:
        metrics.add_histogram(histogram)
