"""The cluster as a process: composes storage, registry, controllers, kubelet and server.

python -m embedded --data-dir DIR --token-auth-file tokens.csv [--port 6443]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from embedded import forwarder
from embedded.api.scheme import NAMESPACES, ObjectRef
from embedded.apiserver.listener import CertificateError, accept_connections, load_tls_context
from embedded.apiserver.server import Server
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.auth.default_roles import ensure_default_roles
from embedded.auth.rbac import Authorizer
from embedded.auth.tokens import Authenticator, TokenFileError, load_signing_key, read_token_file
from embedded.controllers import run_controllers
from embedded.forwarder import Forward
from embedded.kubelet.kubelet import Kubelet, KubeletSettings
from embedded.kubelet.runtime.choice import RUNTIMES, engine_runtime, process_runtime
from embedded.kubelet.runtime.engine.connection.address import AddressError, EngineAddress
from embedded.kubelet.runtime.engine.connection.detect import find_engine
from embedded.kubelet.runtime.engine.connection.files import ENGINE_FILES
from embedded.kubelet.runtime.interface import Runtime
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
from embedded.registry import manifests
from embedded.registry.registry import Registry
from embedded.storage.database import StorageError, UnreadableDatabaseError
from embedded.storage.sqlite import SqliteStore

_log = logging.getLogger("embedded")

UNREADABLE_DATA = 65
"""The exit code for data that this version can't read, `EX_DATAERR` of sysexits.h: a restart does not help."""
_DEFAULT_NAMESPACES = ("default", "kube-system")


def utc_now() -> datetime:
    return datetime.now(UTC)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="c8s-cluster", description="A single-process Kubernetes whose pods are processes of this machine."
    )
    _add_server_flags(parser)
    _add_node_flags(parser)
    _add_engine_flags(parser)
    args = parser.parse_args(argv)
    if args.engine is not None and args.runtime == "process":
        parser.error("--engine requires --runtime docker, podman or auto")
    if (args.tls_cert_file is None) != (args.tls_private_key_file is None):
        parser.error("--tls-cert-file and --tls-private-key-file must be given together")
    return args


def _add_server_flags(parser: argparse.ArgumentParser) -> None:
    """What is stored and served, and for whom."""
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of objects, pods and logs")
    parser.add_argument(
        "--token-auth-file", type=Path, required=True, help='users: lines of token,user,uid,"group1,group2"'
    )
    parser.add_argument(
        "--port",
        type=int,
        default=6443,
        help="port on 127.0.0.1; 0 chooses a free one and prints it (default: %(default)s)",
    )
    parser.add_argument(
        "--listen-fd", type=int, help="file descriptor of an inherited listening socket, instead of --port"
    )
    parser.add_argument(
        "--tls-cert-file", type=Path, help="certificate; the port then serves TLS as well as plain HTTP"
    )
    parser.add_argument("--tls-private-key-file", type=Path, help="private key of the certificate")
    parser.add_argument(
        "--manifests",
        type=Path,
        action="append",
        default=[],
        help="file or folder of objects to apply at start; repeatable",
    )


def _add_node_flags(parser: argparse.ArgumentParser) -> None:
    """What the node may use, and what runs its containers."""
    parser.add_argument(
        "--max-pods",
        type=int,
        default=max(8, 4 * (os.cpu_count() or 1)),
        help="pods that run at once; others stay pending (default: %(default)s)",
    )
    parser.add_argument(
        "--container-log-max-size",
        type=int,
        default=512,
        metavar="MIB",
        help="mebibytes kept of each container's log; older lines are dropped (default: %(default)s)",
    )
    parser.add_argument(
        "--cgroups",
        choices=["auto", "own", "none"],
        default="auto",
        help="enforce limits by cgroups: auto if one is delegated, own in the cluster's own cgroup, none never "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="process",
        help="what runs containers: processes of this machine, where images are ignored, or an engine "
        "(default: %(default)s)",
    )


def _add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """How containers are run in an engine."""
    parser.add_argument(
        "--engine",
        type=_engine_address,
        metavar="ADDRESS",
        help="where the engine listens, unix:///path or tcp://host:port, instead of where it usually does",
    )
    parser.add_argument(
        "--engine-files",
        choices=ENGINE_FILES,
        default="shared",
        help="whose disk has the files of pods: that of this machine, which the engine must see and whose kernel it "
        "must share (shared), the engine's own, such as in a virtual machine or on another one (engine), or the first "
        "that is possible (auto) (default: %(default)s)",
    )
    parser.add_argument(
        "--pod-host",
        action="append",
        default=[],
        metavar="NAME:ADDRESS",
        help="an entry of /etc/hosts in all pods of an engine; ADDRESS may be host-gateway; repeatable",
    )
    parser.add_argument(
        "--hold-image",
        action="append",
        default=[],
        metavar="IMAGE",
        help="an image of the engine that nobody can remove as long as the cluster runs: a container is made of it, "
        "and never started; repeatable",
    )
    parser.add_argument(
        "--forward",
        type=_forward,
        metavar="HOST:PORT=HOST:PORT",
        help="take connections from containers at the first address, which is one of this machine, and hand them on "
        "to the second",
    )
    parser.add_argument(
        "--process-command",
        type=_words,
        action="append",
        default=[],
        metavar="JSON",
        help="a list of words; containers whose command begins with them are processes of this machine with every "
        "runtime; repeatable",
    )


def _engine_address(text: str) -> EngineAddress:
    try:
        return EngineAddress.parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _forward(text: str) -> Forward:
    try:
        return Forward.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _words(text: str) -> list[str]:
    try:
        words = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of words")
    return words


def open_listener(args: argparse.Namespace) -> socket.socket:
    if args.listen_fd is not None:
        return socket.socket(fileno=args.listen_fd)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", args.port))
    return listener


def open_store(data_dir: Path) -> SqliteStore:
    """The store in a folder that only its owner may read."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = SqliteStore(data_dir / "cluster.db")
    (data_dir / "cluster.db").chmod(0o600)
    return store


def build_registry(store: SqliteStore, manifest_paths: Sequence[Path]) -> Registry:
    """The registry of a store, with the objects that every cluster has and those of the manifests."""
    registry = Registry(store, clock=utc_now)
    for name in _DEFAULT_NAMESPACES:
        if registry.find(ObjectRef(NAMESPACES, None, name)) is None:
            registry.create(NAMESPACES, {"metadata": {"name": name}})
    ensure_default_roles(registry)
    manifests.apply_manifests(registry, manifests.load_manifests(manifest_paths))
    return registry


async def open_runtime(args: argparse.Namespace) -> Runtime:
    """What runs the containers, ready to be used.

    Raises:
        RuntimeUnavailableError: the engine that was asked for can't be used.
    """
    processes = process_runtime(args.data_dir, args.cgroups)
    runtime: Runtime = processes
    if args.runtime != "process":
        try:
            address = args.engine or find_engine(args.runtime, os.environ, Path.home()).address
            runtime = engine_runtime(
                address,
                args.data_dir,
                processes,
                args.process_command,
                args.engine_files,
                args.pod_host,
                args.hold_image,
            )
            await runtime.open()
        except RuntimeUnavailableError as error:
            if args.runtime != "auto":
                raise
            _log.warning("containers are processes of this machine: %s", error)
            runtime = processes
    if runtime is processes:
        await runtime.open()
    return runtime


async def serve(args: argparse.Namespace, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; then end all pods and close the database."""
    tls = load_tls_context(args.tls_cert_file, args.tls_private_key_file) if args.tls_cert_file else None
    data: Path = args.data_dir
    store = open_store(data)
    try:
        registry = build_registry(store, args.manifests)
        authenticator = Authenticator(
            registry, read_token_file(args.token_auth_file), load_signing_key(data / "service-account.key"), utc_now
        )
        log_limit = args.container_log_max_size << 20
        runtime = await open_runtime(args)
        kubelet = Kubelet(registry, data, KubeletSettings(args.max_pods, log_limit=log_limit), runtime)
        server = Server(registry, authenticator, Authorizer(registry), kubelet)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(kubelet.run(), name="kubelet"),
                group.create_task(run_controllers(registry, WebhookAdmission(registry)), name="controllers"),
            ]
            if args.forward is not None:
                tasks.append(group.create_task(forwarder.serve(args.forward), name="forwarder"))
            http = server.create_runner()
            await http.setup()
            if tls is None:
                await web.SockSite(http, sock, backlog=1024).start()
            else:
                assert http.server is not None
                sock.listen(1024)
                tasks.append(group.create_task(accept_connections(sock, http.server, tls), name="connections"))
            host, port = sock.getsockname()[:2]
            print(f"serving http://{host}:{port}", flush=True)
            await stop.wait()
            _log.info("stopping")
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            server.close()
            await http.cleanup()
        await runtime.close()
    finally:
        store.close()


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        sock = open_listener(args)
    except OSError as error:
        print(f"c8s-cluster: can't listen on 127.0.0.1:{args.port}: {error}", file=sys.stderr)
        return 1
    try:
        asyncio.run(serve(args, sock))
    except UnreadableDatabaseError as error:
        print(f"c8s-cluster: {error}", file=sys.stderr)
        return UNREADABLE_DATA
    except (
        TokenFileError,
        CertificateError,
        StorageError,
        manifests.ManifestError,
        RuntimeUnavailableError,
        OSError,
    ) as error:
        print(f"c8s-cluster: {error}", file=sys.stderr)
        return 1
    return 0
