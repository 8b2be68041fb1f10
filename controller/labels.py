"""The names of labels, annotations and the finalizer that the controller puts on Kubernetes objects."""

from __future__ import annotations

# -- labels

PIPELINE = "c8s.dev/pipeline"
"""Of runs, Jobs, pods and Secrets: the name of the pipeline."""
RUN = "c8s.dev/run"
"""Of Jobs, pods and Secrets: the name of the run."""
RUN_NUMBER = "c8s.dev/run-number"
"""Of runs: the number within the pipeline."""
STEP = "c8s.dev/step"
"""Of Jobs and pods: the slug of the step."""
ATTEMPT = "c8s.dev/attempt"
"""Of Jobs and pods: the number of the attempt, from 1."""
QUEUE = "kueue.x-k8s.io/queue-name"
"""Kueue's own label. Of Jobs: the LocalQueue that they wait in. As an annotation of runs and Namespaces: that of their
Jobs."""
EARLY = "c8s.dev/early"
"""Of Jobs: `true` for those that are made before their step is due; the annotation OPENED says when it was."""
IDEMPOTENCY_KEY = "c8s.dev/idempotency-key"
"""Of runs: a digest of the idempotency key that the run was created with."""
SECRET = "c8s.dev/secret"  # noqa: S105 - the name of a label
"""Of Secrets: `true` for those that pipelines may use; Secrets that users set through the API have it."""
FORGE_SECRET = "c8s.dev/forge-secret"  # noqa: S105 - the name of a label
"""Of Secrets: `true` for those that connections to forges may use; steps of pipelines get none of them."""
CONNECTION = "c8s.dev/connection"
"""Of runs: the name of the RepositoryConnection whose delivery started them."""
CONCURRENCY_GROUP = "c8s.dev/concurrency-group"
"""Of Leases: `true` for those of concurrency groups."""
MANAGED_BY = "app.kubernetes.io/managed-by"
"""Of everything that the controller creates: `c8s`."""

MANAGER = "c8s"
FOREIGN_SELECTOR = f"!{RUN}"
"""Selects what belongs to no run."""
MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGER}"
"""Selects everything that the controller creates."""

# -- annotations

RUN_UID = "c8s.dev/run-uid"
"""Of pods and of Leases of concurrency groups: the uid of the run, which tells runs of one name apart."""
AGENT_REPORT = "c8s.dev/agent-report"
"""Of Jobs: what the agent of the step has reported to the API, as JSON: when the commands began and ended, and how."""
OPENED = "c8s.dev/opened"
"""Of Jobs with the label EARLY: when their gate was opened, and where the step is held then, as JSON."""
STEP_NAME = "c8s.dev/step-name"
"""Of Jobs: the display name of the step, which no label could hold."""
GROUP = "c8s.dev/group"
"""Of Leases: the name of the concurrency group, which no label could hold."""
ADDRESS = "c8s.dev/address"
"""Of the leader's Lease: the URL of its operator port."""
REQUEST_DIGEST = "c8s.dev/request-digest"
"""Of runs: a digest of the request that created it, to compare with a repeated request."""
CREATED_BY = "c8s.dev/created-by"
"""Of runs: the user who created it."""
CREATOR_PROOF = "c8s.dev/creator-proof"
"""Of runs that the API created: its signature, which proves who created the run."""
LOAD_ATTEMPTS = "c8s.dev/load-attempts"
"""Of runs: how many processes of the operator began to prepare the run, and which was the last."""

REPORTED = "c8s.dev/reported"
"""Of runs: what was last reported to the forge, as JSON; `problem` if it refused that."""

HOSTS = "c8s.dev/hosts"
"""Of Secrets of connections: the hosts that their credentials may be sent to, separated by commas."""

MAX_ACTIVE_RUNS = "c8s.dev/max-active-runs"
"""Of Namespaces: how many runs may be active at a time."""

# -- finalizers

RUN_FINALIZER = "c8s.dev/run"
"""Keeps a run that is being deleted until its processes have ended and its logs are stored."""
