"""The tokens and kubeconfigs of a sandbox, made new at each start and kept in files of mode 0600."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from workbench.sandbox.folder import SandboxFolder, write_private

CONTROLLER_USER = "system:serviceaccount:c8s-system:c8s-controller"
CONTROLLER_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:c8s-system", "system:authenticated")


@dataclass(frozen=True)
class Credentials:
    """Where the files are that the two processes are started with."""

    token_auth_file: Path
    controller_kubeconfig: Path
    agent_key: Path


def issue(folder: SandboxFolder, cluster_url: str) -> Credentials:
    """Write new tokens for the three users of a sandbox and the kubeconfigs that hold them.

    The key that signs the agents' tokens and links outlives a restart, so that
    steps which were running can still deliver what they made.
    """
    admin, controller, workbench = (secrets.token_urlsafe(32) for _ in range(3))
    where = folder.credentials
    rows = [
        (admin, "c8s-admin", "c8s-admin", ("system:masters", "system:authenticated")),
        (controller, CONTROLLER_USER, "c8s-controller", CONTROLLER_GROUPS),
        (workbench, "c8s-workbench", "c8s-workbench", ("c8s:developers", "system:authenticated")),
    ]
    tokens = "".join(f'{token},{user},{uid},"{",".join(groups)}"\n' for token, user, uid, groups in rows)
    credentials = Credentials(where / "tokens.csv", where / "controller.kubeconfig", where / "agent.key")
    write_private(credentials.token_auth_file, tokens)
    write_private(folder.workbench_token, workbench + "\n")
    if not credentials.agent_key.exists():
        write_private(credentials.agent_key, secrets.token_urlsafe(32) + "\n")
    context = f"c8s-{folder.name}"
    write_private(folder.kubeconfig, kubeconfig(context, cluster_url, "c8s-admin", admin))
    write_private(
        credentials.controller_kubeconfig, kubeconfig(context, cluster_url, "c8s-controller", controller)
    )
    return credentials


def kubeconfig(context: str, server: str, user: str, token: str) -> str:
    """A kubeconfig with one context. JSON is YAML, and needs no YAML library here."""
    return (
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": context, "cluster": {"server": server}}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [
                    {"name": context, "context": {"cluster": context, "user": user, "namespace": "default"}}
                ],
                "current-context": context,
            },
            indent=1,
        )
        + "\n"
    )
