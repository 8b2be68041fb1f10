"""Names of the objects that the operator creates. They are derived, so that creating an object twice is harmless."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.pipeline.model import SecretUse
from controller.run_types.keys import RunKey

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]

WORKSPACE = "/workspace"
TOKEN_FOLDER = "/var/run/c8s"  # noqa: S105 - where it is mounted, not what it is
GATE_FOLDER = "/var/run/c8s-gate"
GATE_PIPE = f"{GATE_FOLDER}/gate"
"""The named pipe that the step waits at until its agent has fetched what it needs."""
REPORT_PIPE = f"{GATE_FOLDER}/report"
"""The named pipe that the step tells its begin and end to the agent by."""
FAILED_TESTS_FILE = f"{GATE_FOLDER}/failed-tests"
"""Which tests a step that runs only those that failed is to run, one in each line."""
MESSAGE_FILE = "/dev/termination-log"
SECRETS_FOLDER = "/var/run/c8s-secrets"
PROVIDERS_FOLDER = "/var/run/c8s-secret-providers"
"""With a folder for each SecretProviderClass that a step mounts."""
STEP_CONTAINER, AGENT_CONTAINER = "step", "agent"
EARLIER_AGENT = "upload"
"""Of pods of an earlier version, which may go on while the controller is upgraded. It reports nothing."""

_MAX_NAME_LENGTH = 63
_AGENT_VOLUME_PREFIX = "agent-"
# The Job controller appends a suffix to the names of pods.
_MAX_JOB_NAME_LENGTH = _MAX_NAME_LENGTH - 6


def truncate_name(name: str, limit: int = _MAX_NAME_LENGTH) -> str:
    """The name, or its beginning and a digest of the whole if it is longer than `limit`."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def job_name(run: str, slug: str, attempt: int) -> str:
    """The name of an attempt's Job. Slugs have no two hyphens in a row, so that names are unique."""
    return truncate_name(f"{run}--{slug}-{attempt}", _MAX_JOB_NAME_LENGTH)


def secrets_name(run: str, uid: str) -> str:
    """The name of a run's own Secret. Pods name it: one of an earlier run must not get the values of a later one."""
    return truncate_name(f"{run}-secrets-{_short_id(uid)}")


def run_secret_name(run: RunObject) -> str:
    """The name of the run's own Secret.

    As long as a run's pipeline is not read, it has another one, with credentials for the clone only: it never changes,
    and what the steps use is not known yet.
    """
    metadata = run["metadata"]
    name = secrets_name(metadata["name"], metadata["uid"])
    return name if run["spec"].get("pipeline") else truncate_name(f"{name}-clone")


def agent_secret_name(run: str, uid: str, slug: str, attempt: int) -> str:
    """The name of the Secret with the tokens of an attempt's agents."""
    return token_secret_of(job_name(run, slug, attempt), uid)


def provided_secret_name(run: str, uid: str, slug: str, attempt: int) -> str:
    """The Secret with the copied values of what the CSI driver mounts into an attempt."""
    return truncate_name(f"{run}--{slug}-{attempt}-provided-{_short_id(uid)}", 253)


def token_secret_of(job: str, run_uid: str) -> str:
    """The name of the Secret with the tokens of the agents of the Job with this name, of the run with this uid."""
    return truncate_name(f"{job}-agent-{_short_id(run_uid)}")


def _short_id(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:10]


def token_volume(run: RunObject, slug: str, attempt: int, role: str) -> Json:
    """The volume with the token of one agent, which only that agent mounts."""
    name = agent_secret_name(run["metadata"]["name"], run["metadata"]["uid"], slug, attempt)
    secret = {"secretName": name, "items": [{"key": role, "path": "token"}]}
    return {"name": f"{_AGENT_VOLUME_PREFIX}{role}", "secret": {**secret, "defaultMode": 0o444}}


def has_token_volume(job: Json) -> bool:
    """Whether a Job's pods mount the tokens of agents, so that it has a Secret with them."""
    volumes = job["spec"]["template"]["spec"].get("volumes") or []
    return any(volume["name"].startswith(_AGENT_VOLUME_PREFIX) for volume in volumes)


def token_mount(role: str) -> Json:
    """The mount of the volume with the token of one agent."""
    return {"name": f"{_AGENT_VOLUME_PREFIX}{role}", "mountPath": TOKEN_FOLDER, "readOnly": True}


def secret_key(use: SecretUse) -> str:
    """The key of a copied value in the run's own Secret."""
    return hashlib.sha256(f"{use.secret_ref}\0{use.key}".encode()).hexdigest()[:32]


GIT_CREDENTIAL_KEYS = ("username", "password", "ssh-privatekey", "known_hosts")
"""What a Secret for a repository may have: `kubernetes.io/basic-auth` and `kubernetes.io/ssh-auth`."""
_GIT_PREFIX = "git."
_MIN_TOKEN_BYTES = 16


def git_secret_key(key: str) -> str:
    """The key of a copied credential for the run's repository in the run's own Secret."""
    return f"{_GIT_PREFIX}{key}"


def is_confidential(key: str, value: bytes) -> bool:
    """Whether a value of the run's own Secret must not be shown.

    Not the host keys of a repository's server, nor the name of a user there, such as `x-access-token`: masking it would
    hide ordinary words of a log. A longer one may be a token, which some servers take for a name.
    """
    if key == git_secret_key("known_hosts"):
        return False
    return key != git_secret_key("username") or len(value.strip()) >= _MIN_TOKEN_BYTES


def manifest_key(namespace: str, run_uid: str, slug: str, attempt: int) -> str:
    """The key of the manifest of an attempt's artifacts. It has the run's uid: names of runs are used again."""
    return f"artifacts/{namespace}/{run_uid}/{slug}/{attempt}.json"


def definition_key(namespace: str, run_uid: str, slug: str, attempt: int) -> str:
    """The key of the pipeline file that an attempt of a clone step found in the repository."""
    return f"artifacts/{namespace}/{run_uid}/{slug}/{attempt}.definition.json"


def workspace_manifest_key(namespace: str, run_uid: str, slug: str, attempt: int) -> str:
    return f"workspaces/{namespace}/{run_uid}/{slug}/{attempt}.json"


def run_key(run: RunObject) -> RunKey:
    """The key of a run."""
    return RunKey(run["metadata"]["namespace"], run["metadata"]["name"])


def run_labels(run: RunObject) -> dict[str, str]:
    """The labels of every object that is created for a run."""
    own = run["metadata"].get("labels") or {}
    pipeline = own.get(labels.PIPELINE) or run["spec"].get("pipeline", {}).get("name", "")
    return {labels.PIPELINE: pipeline, labels.RUN: run["metadata"]["name"], labels.MANAGED_BY: labels.MANAGER}


def owner_reference(run: RunObject) -> Json:
    """The ownerReference to a run."""
    metadata = run["metadata"]
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
