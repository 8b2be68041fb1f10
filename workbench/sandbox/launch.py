"""Starting a sandbox's supervisor: sockets, credentials, commands. It waits for the first word only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workbench.client.endpoint import SandboxError
from workbench.sandbox import credentials
from workbench.sandbox.paths import SandboxPaths

# -P: a folder called `controller` where the command was typed must not be taken for ours.
_PYTHON = (sys.executable, "-P", "-m")


def own_version() -> str:
    try:
        return version("c8s-workbench")
    except PackageNotFoundError:
        return "unknown"


def manifests() -> Path:
    """The custom resources and roles that the controller needs, as it ships them."""
    import controller

    return Path(controller.__file__).parent / "operator" / "manifests"


def agent_command() -> list[str]:
    """How a step's pod starts the agent on this machine: by absolute path, isolated from the workspace."""
    import controller

    return [sys.executable, "-I", "-S", str(Path(controller.__file__).parent / "agent")]


def listen(preferred: int) -> socket.socket:
    """A loopback socket on the port of last time, so that kubeconfigs stay good, or on a free one."""
    for port in (preferred, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1024)
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            return listener
    raise AssertionError("unreachable: port 0 returns or raises")


def launch(folder: SandboxPaths, cluster: socket.socket, api: socket.socket) -> None:
    """Start the supervisor on two listening sockets and wait until its state is on disk.

    Raises:
        SandboxError: it ended at once; the message has its last words.
        OSError: a file can't be written or the process can't be started.
    """
    cluster_url, api_url = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (cluster, api))
    issued = credentials.issue_credentials(folder, cluster_url)
    read_end, write_end = os.pipe()
    try:
        with (folder.logs / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(*_PYTHON, "workbench.sandbox.supervisor", str(folder.root), "--version", own_version()),
                    *("--ready-fd", str(write_end)),
                    *("--cluster-fd", str(cluster.fileno())),
                    *("--cluster", json.dumps(_cluster_command(folder, issued))),
                    *("--controller-fd", str(api.fileno())),
                    *("--controller", json.dumps(_controller_command(folder, issued, api_url))),
                ],
                cwd=folder.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[write_end, cluster.fileno(), api.fileno()],
                start_new_session=True,
            )
        os.close(write_end)
        write_end = -1
        if not os.read(read_end, 64):
            raise SandboxError(
                f"the supervisor of sandbox {folder.name} ended at once with code {process.wait()}:\n"
                + last_lines(folder.logs / "supervisor.log")
            )
        # It outlives this process; without this, Python would warn that nobody waited for it.
        process.returncode = 0
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def _cluster_command(folder: SandboxPaths, issued: credentials.Credentials) -> list[str]:
    return [
        *(*_PYTHON, "embedded", "--data-dir", str(folder.cluster_data)),
        *("--token-auth-file", str(issued.token_auth_file), "--manifests", str(manifests())),
        *("--tls-cert-file", str(issued.certificate), "--tls-private-key-file", str(issued.private_key)),
    ]


def _controller_command(folder: SandboxPaths, issued: credentials.Credentials, api_url: str) -> list[str]:
    return [
        *(*_PYTHON, "controller", "--role", "operator", "--role", "api"),
        *("--kubeconfig", str(issued.controller_kubeconfig), "--store", folder.store.as_uri()),
        *("--agent-command", json.dumps(agent_command()), "--agent-key-file", str(issued.agent_key)),
        *("--public-url", api_url),
    ]


def last_lines(log: Path, count: int = 5) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return f"  (nothing in {log})"
    return "\n".join(f"  {line}" for line in lines)
