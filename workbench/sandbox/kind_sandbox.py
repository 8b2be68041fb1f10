"""Sandboxes that are kind clusters, created by a plan and found again by their record.

It holds the sandbox's lock and keeps its files and its context consistent; the package `kind` does the work.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from workbench.client.endpoint import Endpoint, SandboxError
from workbench.sandbox.locks import FileLock
from workbench.sandbox.paths import SandboxPaths, state_root
from workbench.sandbox.status import ComponentStatus, SandboxStatus

if TYPE_CHECKING:
    from kind.access.service_account_token import ServiceAccountToken
    from kind.cluster.bootstrap_options import BootstrapOptions
    from kind.cluster_record import ClusterRecord
    from kind.plan import OnEvent

DEFAULT_CLUSTER = "c8s"
"""The name of the sandbox, of its cluster and, with `kind-` before it, of its context in the kubeconfig."""
_RECORD = "kind.json"
_LOCK_SECONDS = 1800.0
_STOP_POLL = 0.2
_STOP_SECONDS = 3.0


def is_cluster(folder: SandboxPaths) -> bool:
    """Whether this sandbox is a kind cluster, by its record. Needs no import."""
    return (folder.root / _RECORD).exists()


def options_for(name: str, state: Path | None = None) -> BootstrapOptions:
    """The default options of this sandbox's cluster, with its folders."""
    from kind.cluster.bootstrap_options import BootstrapOptions

    folder = SandboxPaths.named(name, state or state_root())
    return BootstrapOptions(name, folder.root, Path(platformdirs.user_cache_dir("c8s")))


def recorded_clusters(state: Path | None = None) -> list[ClusterRecord]:
    """The records of all sandboxes that are clusters, without those that can't be read."""
    from kind.cluster_record import read_record

    found = (read_record(file) for file in sorted((state or state_root()).glob(f"*/{_RECORD}")))
    return [record for record in found if record is not None]


def endpoint(folder: SandboxPaths) -> Endpoint:
    """The endpoint of the sandbox's API."""
    record = _record(folder)
    return Endpoint(record.api_url, folder.workbench_token, record.namespace, sandbox=folder.name)


async def up(options: BootstrapOptions, on_event: OnEvent) -> Endpoint:
    """Execute the plan. It can be repeated after any interruption.

    Raises:
        SandboxError: an embedded sandbox has this name.
        KindError: a step failed; the message says what to do.
    """
    from kind.cluster.bootstrap import Bootstrap
    from kind.durations import DURATIONS_FILE, Durations
    from kind.plan import execute
    from workbench.config.contexts import config_path, write_context

    folder = SandboxPaths(options.folder)
    if folder.cluster_data.exists() and not is_cluster(folder):
        raise SandboxError(f"the sandbox {folder.name} is an embedded one; choose another name with --name")
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with _exclusive(folder):
        durations = Durations(options.cache / DURATIONS_FILE)
        try:
            await execute(Bootstrap(options).steps(), on_event, durations=durations)
        finally:
            with suppress(OSError):  # An estimate is not worth a failure: without it, the next start has none.
                durations.save()
        found = endpoint(folder)
        write_context(config_path(), _record(folder).context, found)
        return found


async def down(folder: SandboxPaths, *, delete: bool, progress: Callable[[str], None]) -> bool:
    """Stop the node, or delete the cluster and its record. False if there was nothing to stop."""
    from kind.cluster import lifecycle
    from workbench.config.contexts import config_path, remove_context

    async with _exclusive(folder):
        record = _record(folder)
        if not delete:
            return await lifecycle.stop(record)
        ran = await lifecycle.delete(record, progress)
        remove_context(config_path(), record.context)
        shutil.rmtree(folder.root)
        return ran


async def in_progress(folder: SandboxPaths) -> list[str]:
    """The runs that a stop would interrupt; empty if the cluster does not answer."""
    from kind.cluster import lifecycle
    from kind.errors import KindError

    try:
        async with asyncio.timeout(5.0):
            return await lifecycle.runs_in_progress(folder.kubeconfig)
    except (KindError, TimeoutError):
        return []


async def status(folder: SandboxPaths) -> SandboxStatus:
    """The state of each component."""
    from kind.cluster import lifecycle

    record = _record(folder)
    parts = await lifecycle.health(record, folder.kubeconfig)
    components = tuple(
        ComponentStatus(part.name, part.healthy, part.detail, "", None, 0, folder.root) for part in parts
    )
    return SandboxStatus(
        folder.name,
        lifecycle.summarize(parts),
        folder.root,
        folder.kubeconfig,
        record.api_url,
        components=components,
    )


@asynccontextmanager
async def attach(folder: SandboxPaths, progress: Callable[[str], None]) -> AsyncIterator[Endpoint]:
    """Use the cluster's controller; its token is renewed inside the `with`.

    Raises:
        SandboxError: the cluster was not started completely, or issues no token.
    """
    from kind.access import service_account_token
    from kind.errors import KindError

    found = endpoint(folder)
    ours = service_account_token.ServiceAccountToken(found.token_file, folder.kubeconfig)
    try:
        await service_account_token.ensure(ours, time.time())
    except KindError as error:
        raise SandboxError(f"{error}. Start the cluster with `c8s up --kind --name {folder.name}`") from error
    with _renewing(ours, progress):
        yield found


@contextmanager
def _renewing(ours: ServiceAccountToken, progress: Callable[[str], None]) -> Iterator[None]:
    """Renew the token in a thread with its own event loop, because the workbench owns that of this thread."""
    from kind.access import service_account_token

    stop, loop = threading.Event(), asyncio.new_event_loop()

    async def renew_until_stopped() -> None:
        keeping = asyncio.create_task(service_account_token.renew_periodically(ours, on_error=progress))
        while not stop.is_set():
            await asyncio.sleep(_STOP_POLL)
        keeping.cancel()
        await asyncio.wait([keeping], timeout=_STOP_SECONDS)

    def work() -> None:
        try:
            loop.run_until_complete(renew_until_stopped())
        finally:
            loop.close()

    thread = threading.Thread(target=work, name="token renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_SECONDS)


def _record(folder: SandboxPaths) -> ClusterRecord:
    from kind.cluster_record import read_record

    record = read_record(folder.root / _RECORD)
    if record is None:
        raise SandboxError(
            f"{folder.root / _RECORD} can't be read: remove the folder {folder.root}, and the cluster with "
            f"`kind delete cluster --name {folder.name}`"
        )
    return record


@asynccontextmanager
async def _exclusive(folder: SandboxPaths) -> AsyncIterator[None]:
    lock = FileLock(folder.start_lock)
    try:
        await lock.wait(_LOCK_SECONDS)
    except TimeoutError as error:
        raise SandboxError(f"timed out waiting for another c8s command to release sandbox {folder.name}") from error
    try:
        yield
    finally:
        lock.release()
