"""Starts a sandbox's supervisor: sockets, credentials and commands."""

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
from workbench.sandbox.container_runtime import SandboxRuntime
from workbench.sandbox.engine_agent import AGENT_COMMAND
from workbench.sandbox.paths import SandboxPaths

# -P: do not import a folder named `controller` in the current folder.
_PYTHON = (sys.executable, "-P", "-m")


def own_version() -> str:
    try:
        return version("c8s-workbench")
    except PackageNotFoundError:
        return "unknown"


def manifests() -> Path:
    """The folder of the controller's custom resources and roles."""
    import controller

    return Path(controller.__file__).parent / "operator" / "manifests"


def agent_command(folder: SandboxPaths, runtime: SandboxRuntime) -> list[str]:
    """The command that starts the agent in a step's pod: by absolute path, isolated from the workspace.

    It is a process of this machine, unless an engine has files of its own. With images, steps have users of their own:
    they may write what it brings, and the cluster takes over what they leave once their container has ended, unless
    this is root.
    """
    if runtime.agent_image:
        return list(AGENT_COMMAND)
    import controller

    variables = [f"C8S_SHARED_SOURCES={folder.sources}"]
    if runtime.uses_images:
        variables.append("C8S_GRANT_ACCESS=1")
    if runtime.uses_images and os.geteuid() != 0:
        variables.append("C8S_STORE_AFTER_CONTAINER=1")
    return [
        *("/usr/bin/env", *variables),
        sys.executable,
        "-I",
        "-S",
        str(Path(controller.__file__).parent / "agent"),
    ]


def listen(preferred: int) -> socket.socket:
    """A loopback socket on the previous port, so that kubeconfigs stay valid, or on a free one."""
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


def launch(folder: SandboxPaths, cluster: socket.socket, api: socket.socket, runtime: SandboxRuntime) -> None:
    """Start the supervisor with two listening sockets and wait until it has written its state file.

    Raises:
        SandboxError: it ended immediately; the message quotes its log.
        OSError: a file cannot be written or the process cannot be started.
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
                    *("--cluster", json.dumps(_cluster_command(folder, issued, runtime, api.getsockname()[1]))),
                    *("--controller-fd", str(api.fileno())),
                    *("--controller", json.dumps(_controller_command(folder, issued, api_url, runtime))),
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
                f"the supervisor of sandbox {folder.name} ended immediately with exit code {process.wait()}:\n"
                + last_lines(folder.logs / "supervisor.log")
            )
        # It outlives this process; without this, Python would warn that it is still running.
        process.returncode = 0
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def _cluster_command(
    folder: SandboxPaths, issued: credentials.Credentials, runtime: SandboxRuntime, api_port: int
) -> list[str]:
    engine = ["--engine", runtime.engine, "--engine-files", runtime.files]
    if runtime.agent_image:
        engine += ["--hold-image", runtime.agent_image]
    else:
        engine += ["--process-command", json.dumps(agent_command(folder, runtime))]
    for entry in filter(None, runtime.pod_hosts.split(",")):
        engine += ["--pod-host", entry]
    if runtime.gateway:
        engine += ["--forward", f"{runtime.gateway}:{api_port}=127.0.0.1:{api_port}"]
    return [
        *(*_PYTHON, "embedded", "--data-dir", str(folder.cluster_data)),
        *("--token-auth-file", str(issued.token_auth_file), "--manifests", str(manifests())),
        *("--tls-cert-file", str(issued.certificate), "--tls-private-key-file", str(issued.private_key)),
        *("--runtime", runtime.name, *(engine if runtime.uses_images else [])),
    ]


def _controller_command(
    folder: SandboxPaths, issued: credentials.Credentials, api_url: str, runtime: SandboxRuntime
) -> list[str]:
    return [
        *(*_PYTHON, "controller", "--role", "operator", "--role", "api", "--role", "webhook"),
        *("--kubeconfig", str(issued.controller_kubeconfig), "--store", folder.store.as_uri()),
        *("--agent-command", json.dumps(agent_command(folder, runtime)), "--agent-key-file", str(issued.agent_key)),
        *("--public-url", api_url, "--admission-port", "0", "--enable-dashboard"),
        *(_agent_container(runtime, api_url) if runtime.agent_image else ("--spare-sources",)),
    ]


def _agent_container(runtime: SandboxRuntime, api_url: str) -> list[str]:
    """What the controller has to know of an agent that is a container."""
    url = api_url.replace("127.0.0.1", runtime.agent_host)
    return ["--agent-image", runtime.agent_image, "--agent-url", url]


def last_lines(log: Path, count: int = 5) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return f"  (nothing in {log})"
    return "\n".join(f"  {line}" for line in lines)
