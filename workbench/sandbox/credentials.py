"""The tokens and kubeconfigs of a sandbox, created at each start in files of mode 0600."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.files import write_private
from workbench.sandbox import certificates
from workbench.sandbox.paths import SandboxPaths

CONTROLLER_USER = "system:serviceaccount:c8s-system:c8s-controller"
CONTROLLER_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:c8s-system", "system:authenticated")


_MIN_KEY_BYTES = 16
"""The shortest key that the controller takes."""


@dataclass(frozen=True)
class Credentials:
    """The paths of the files with which the two processes are started."""

    token_auth_file: Path
    controller_kubeconfig: Path
    agent_key: Path
    certificate: Path
    private_key: Path


def issue_credentials(folder: SandboxPaths, cluster_url: str) -> Credentials:
    """Write new tokens for the three users of a sandbox, and their kubeconfigs.

    The key that signs the agents' tokens and links survives a restart, so that
    running steps can still upload their results.
    """
    admin, controller, workbench = (secrets.token_urlsafe(32) for _ in range(3))
    secrets_folder = folder.credentials
    rows = [
        (admin, "c8s-admin", "c8s-admin", ("system:masters", "system:authenticated")),
        (controller, CONTROLLER_USER, "c8s-controller", CONTROLLER_GROUPS),
        (workbench, "c8s-workbench", "c8s-workbench", ("c8s:developers", "system:authenticated")),
    ]
    tokens = "".join(f'{token},{user},{uid},"{",".join(groups)}"\n' for token, user, uid, groups in rows)
    certificate, key = certificates.ensure_certificate(secrets_folder, datetime.now(UTC))
    credentials = Credentials(
        secrets_folder / "tokens.csv",
        secrets_folder / "controller.kubeconfig",
        secrets_folder / "agent.key",
        certificate,
        key,
    )
    write_private(credentials.token_auth_file, tokens)
    write_private(folder.workbench_token, workbench + "\n")
    if not _is_key(credentials.agent_key):
        write_private(credentials.agent_key, secrets.token_urlsafe(32) + "\n")
    context = f"c8s-{folder.name}"
    secure_url = cluster_url.replace("http://", "https://", 1)
    authority = certificate.read_bytes()
    write_private(folder.kubeconfig, kubeconfig(context, secure_url, "c8s-admin", admin, authority))
    # The controller runs on this machine and needs no TLS.
    write_private(credentials.controller_kubeconfig, kubeconfig(context, cluster_url, "c8s-controller", controller))
    return credentials


def _is_key(file: Path) -> bool:
    """Whether the controller takes the file: an empty or damaged one would keep the sandbox from starting."""
    try:
        return len(file.read_bytes().strip()) >= _MIN_KEY_BYTES
    except FileNotFoundError:
        return False


def kubeconfig(context: str, server: str, user: str, token: str, authority: bytes | None = None) -> str:
    """A kubeconfig with one context, as JSON, which is YAML and needs no YAML library."""
    cluster = {"server": server}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    return (
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": context, "cluster": cluster}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [{"name": context, "context": {"cluster": context, "user": user, "namespace": "default"}}],
                "current-context": context,
            },
            indent=1,
        )
        + "\n"
    )
