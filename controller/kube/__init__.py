"""A thin Kubernetes client: plain JSON over one HTTP session, informers, a work queue and a leader elector.

Objects are plain dictionaries: decoding them into models was measured to take fourteen times as long.
"""

from controller.kube.client import KubeClient, WatchEvent
from controller.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    KubeconfigError,
    KubeError,
    NotFoundError,
    TooLargeError,
    UnauthorizedError,
    UnreachableError,
)
from controller.kube.informer import Informer
from controller.kube.kubeconfig import connect, read_cluster
from controller.kube.leader_election import LeaderElector, LeaseTimings
from controller.kube.resources import (
    CONFIG_MAPS,
    EARLIER_WORKLOADS,
    EVENTS,
    JOBS,
    LEASES,
    NAMESPACES,
    NODES,
    PIPELINE_CONFIGS,
    PIPELINE_RUNS,
    POD_METRICS,
    PODS,
    REPOSITORY_CONNECTIONS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRET_PROVIDER_CLASSES,
    SECRETS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    VALIDATING_WEBHOOKS,
    WORKLOADS,
    Resource,
)
from controller.kube.workqueue import WorkQueue
from controller.kube.workqueue_metrics import WorkQueueDurations, WorkQueueMetrics

__all__ = [
    "CONFIG_MAPS",
    "EARLIER_WORKLOADS",
    "EVENTS",
    "JOBS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "PIPELINE_CONFIGS",
    "PIPELINE_RUNS",
    "PODS",
    "POD_METRICS",
    "REPOSITORY_CONNECTIONS",
    "RESOURCE_QUOTAS",
    "ROLES",
    "ROLE_BINDINGS",
    "SECRETS",
    "SECRET_PROVIDER_CLASSES",
    "SUBJECT_ACCESS_REVIEWS",
    "TOKEN_REVIEWS",
    "VALIDATING_WEBHOOKS",
    "WORKLOADS",
    "AlreadyExistsError",
    "ApiError",
    "ConflictError",
    "ForbiddenError",
    "GoneError",
    "Informer",
    "KubeClient",
    "KubeError",
    "KubeconfigError",
    "LeaderElector",
    "LeaseTimings",
    "NotFoundError",
    "Resource",
    "TooLargeError",
    "UnauthorizedError",
    "UnreachableError",
    "WatchEvent",
    "WorkQueue",
    "WorkQueueDurations",
    "WorkQueueMetrics",
    "connect",
    "read_cluster",
]
