"""Starts, finds, attaches to and stops sandboxes.

Every change holds the sandbox's start lock. A sandbox is running if its
supervisor holds its lock, so there is no pid file that could be stale.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.client.endpoint import Endpoint, SandboxError
from workbench.config.contexts import config_path
from workbench.config.preferences import read_preferences
from workbench.daemon_thread import run_in_daemon_thread
from workbench.sandbox import kind_sandbox, processes
from workbench.sandbox.container_runtime import (
    choose_runtime,
    read_runtime,
    sweep,
    sweep_engines,
    wanted_files,
    wanted_runtime,
    write_runtime,
)
from workbench.sandbox.disk import full_disk_message
from workbench.sandbox.launch import last_lines, launch, listen, own_version
from workbench.sandbox.locks import FileLock
from workbench.sandbox.paths import SandboxPaths, SandboxState, read_state, state_root
from workbench.sandbox.state_version import check_state_version, remedy
from workbench.sandbox.status import ComponentStatus, Readiness, SandboxStatus, StartObserver, ask_for_api, check_ready

Progress = Callable[[str], None]

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 45.0
_LOCK_TIMEOUT = _START_TIMEOUT + _STOP_TIMEOUT
_INTERRUPTED_WAIT = 2.0
"""Seconds that something started may go on for after Ctrl-C."""
_POLL = 0.02
_TOO_MANY_RESTARTS = 3


def _silent(_: str) -> None:
    return


@dataclass(frozen=True)
class Sandboxes:
    """The sandboxes of a state folder."""

    state: Path | None = None
    runtime: str | None = None
    """What runs the steps of a sandbox that is started; None: by C8S_RUNTIME, the config file, or what is there."""
    observer: StartObserver = field(default_factory=StartObserver)

    def folder(self, name: str) -> SandboxPaths:
        return SandboxPaths.named(name, self.state or state_root())

    def list(self) -> tuple[str, ...]:
        """The names of the sandboxes that exist, running or not."""
        root = self.state or state_root()
        folders = [SandboxPaths(each) for each in root.iterdir()] if root.is_dir() else []
        return tuple(sorted(each.name for each in folders if each.start_lock.exists() or kind_sandbox.is_cluster(each)))

    async def up(self, name: str, progress: Progress = _silent) -> Endpoint:
        """Start the sandbox unless it is running, and keep it running until `down`."""
        folder = self.folder(name)
        if kind_sandbox.is_cluster(folder):
            raise SandboxError(
                f"sandbox {name} is a kind cluster: start it with `c8s up --kind --name {name}`, or use another name"
            )
        folder.create()
        async with _exclusive(folder):
            _touch(folder.keep_marker)
            if _runs(folder):
                progress(f"sandbox {name} is already running")
                _check_runtime(folder, self.runtime)
                return await _ready(folder, progress, self.observer)
            return await _start(folder, progress, self.runtime, self.observer)

    async def down(self, name: str, *, delete: bool = False, progress: Progress = _silent) -> bool:
        """Stop the sandbox and all its processes; with `delete`, also delete its data.

        Returns False if there was nothing to stop.
        """
        folder = self.folder(name)
        if not folder.root.is_dir():
            return False
        if kind_sandbox.is_cluster(folder):
            return await kind_sandbox.down(folder, delete=delete, progress=progress)
        async with _exclusive(folder):
            ran = _runs(folder)
            folder.keep_marker.unlink(missing_ok=True)
            await _stop(folder, progress)
            await sweep(folder, progress)
            if delete:
                folder.delete()
        return ran

    async def status(self, name: str) -> SandboxStatus:
        folder = self.folder(name)
        if kind_sandbox.is_cluster(folder):
            return await kind_sandbox.status(folder)
        if not folder.start_lock.exists():
            return SandboxStatus(name, "absent", folder.root)
        problem = full_disk_message(folder.root)
        last = read_state(folder)
        state = last if _runs(folder) else None
        if state is None:
            problem = problem or (last.failure if last is not None else None)
            return SandboxStatus(name, "stopped", folder.root, problem=problem)
        answers = await asyncio.gather(
            run_in_daemon_thread(check_ready, state.cluster_port, _admin_token(folder)),
            run_in_daemon_thread(check_ready, state.api_port),
        )
        components = tuple(
            _component(folder, state, child, url, answer)
            for child, url, answer in zip(
                ("cluster", "controller"), (state.cluster_url, state.api_url), answers, strict=True
            )
        )
        return SandboxStatus(
            name,
            "running" if problem is None and all(c.healthy for c in components) else "unhealthy",
            folder.root,
            folder.kubeconfig,
            state.api_url,
            state.started_at,
            state.version,
            not folder.keep_marker.exists(),
            components,
            read_runtime(folder).describe(),
            problem,
        )

    def is_stopped(self, name: str) -> bool:
        """Whether an embedded sandbox of this name would have to be started first."""
        folder = self.folder(name)
        return not kind_sandbox.is_cluster(folder) and not _runs(folder)

    def has_clients(self, name: str) -> bool:
        """Whether a workbench or another command uses the running sandbox."""
        folder = self.folder(name)
        return _runs(folder) and FileLock(folder.users_lock).held_elsewhere()

    async def runs_in_progress(self, name: str) -> Sequence[str]:
        """The runs that a stop would interrupt; empty if the sandbox is stopped or does not answer."""
        folder = self.folder(name)
        return await kind_sandbox.in_progress(folder) if kind_sandbox.is_cluster(folder) or _runs(folder) else []

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of a running sandbox.

        Raises:
            SandboxError: the sandbox is not running.
        """
        folder = self.folder(name)
        if not _runs(folder) and not kind_sandbox.is_cluster(folder):
            raise SandboxError(f"sandbox {name} is not running; start it with `c8s up --name {name}`")
        return folder.kubeconfig

    @asynccontextmanager
    async def attach(
        self,
        name: str,
        *,
        start: bool = True,
        progress: Progress = _silent,
        is_interrupted: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[Endpoint]:
        """Use the sandbox. If it is not running, it is started and runs until the last client detaches.

        Args:
            is_interrupted: whether the user wants to leave: then the end of the sandbox is not awaited for long. It is
                assumed if this is cancelled.

        Raises:
            SandboxError: it is not running and `start` is False, or it cannot be started.
        """
        folder = self.folder(name)
        if kind_sandbox.is_cluster(folder):
            async with kind_sandbox.attach(folder, progress) as endpoint:
                yield endpoint
            return
        if not start and not _runs(folder):
            raise SandboxError(f"sandbox {name} is not running; start it with `c8s up`")
        folder.create()
        users = FileLock(folder.users_lock)
        cancelled = False
        try:
            async with _exclusive(folder):
                endpoint = await _join(folder, users, progress, self.runtime, self.observer)
            yield endpoint
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            users.release()
            await _leave(folder, progress, is_hurried=cancelled or is_interrupted())


@asynccontextmanager
async def _exclusive(folder: SandboxPaths) -> AsyncIterator[None]:
    lock = FileLock(folder.start_lock)
    try:
        await lock.wait(_LOCK_TIMEOUT)
    except TimeoutError as error:
        raise SandboxError(
            f"another command has been starting or stopping sandbox {folder.name} for {_LOCK_TIMEOUT:.0f} s; "
            f"see {folder.logs}"
        ) from error
    try:
        yield
    finally:
        lock.release()


async def _join(
    folder: SandboxPaths, users: FileLock, progress: Progress, runtime: str | None, observer: StartObserver
) -> Endpoint:
    """Attach to the sandbox, and start it if it is not running."""
    deadline = time.monotonic() + _STOP_TIMEOUT
    while not users.acquire(shared=True):
        # The supervisor holds it exclusively: it checks for remaining clients, or is about to end.
        if time.monotonic() > deadline:
            raise SandboxError(f"sandbox {folder.name} does not stop; see {folder.logs / 'supervisor.log'}")
        await asyncio.sleep(_POLL)
    if not _runs(folder):
        # The API is used next.
        return await _start(folder, progress, runtime, observer, asks_for_api=True)
    _check_runtime(folder, runtime)
    return await _ready(folder, progress, observer)


async def _leave(folder: SandboxPaths, progress: Progress, *, is_hurried: bool) -> None:
    """Stop a temporary sandbox without clients; also after Ctrl-C, but then its end is not awaited for long.

    Its supervisor has been asked to end by then, or ends by itself when it finds that there are no clients.
    """
    if not folder.start_lock.exists():
        return

    async def stop_if_last() -> None:
        async with _exclusive(folder):
            if folder.keep_marker.exists() or not _runs(folder):
                return
            if FileLock(folder.users_lock).held_elsewhere() and not _is_ending(folder):
                return
            await _stop(folder, progress)

    stopping = asyncio.ensure_future(stop_if_last())
    try:
        if is_hurried:
            await asyncio.wait([stopping], timeout=_INTERRUPTED_WAIT)
        else:
            await _await_at_most(stopping, _INTERRUPTED_WAIT)
    finally:
        if not stopping.done():
            progress(f"sandbox {folder.name} is still being stopped; see `c8s status --name {folder.name}`")
            stopping.cancel()
    if stopping.done() and not stopping.cancelled():
        stopping.result()


async def _await_at_most(task: asyncio.Future[None], seconds: float) -> None:
    """Await a task that Ctrl-C does not cancel; it may then go on for some seconds."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=seconds)
        raise


def _is_ending(folder: SandboxPaths) -> bool:
    """Whether the supervisor holds the users' lock exclusively, which means that it is about to end."""
    with_others = FileLock(folder.users_lock)
    if with_others.acquire(shared=True):
        with_others.release()
        return False
    return True


def _runs(folder: SandboxPaths) -> bool:
    return FileLock(folder.supervisor_lock).held_elsewhere()


def _check_runtime(folder: SandboxPaths, wanted: str | None) -> None:
    """Refuse another runtime than the one that the running sandbox has."""
    chosen = read_runtime(folder)
    if wanted not in (None, "auto", chosen.name):
        raise SandboxError(
            f"sandbox {folder.name} runs with the runtime {chosen.name}, not {wanted}: "
            f"stop it first with `c8s down --name {folder.name}`"
        )


async def _start(
    folder: SandboxPaths,
    progress: Progress,
    runtime: str | None,
    observer: StartObserver,
    *,
    asks_for_api: bool = False,
) -> Endpoint:
    check_state_version(folder)
    last = read_state(folder)
    await _end_leftovers(folder, last)
    preferences = read_preferences(config_path())
    for problem in preferences.problems:
        if problem.startswith(("runtime:", "runtimeFiles:")):
            progress(f"{config_path()}: {problem}")
    wanted = wanted_runtime(runtime, os.environ, preferences.runtime)
    files = wanted_files(os.environ, preferences.runtime_files)
    chosen = await choose_runtime(wanted, folder.cluster_data, files, progress)
    # The cluster itself sweeps the engine that it uses.
    unswept = await sweep_engines(folder, progress, but=chosen.engine)
    write_runtime(folder, replace(chosen, unswept=unswept))
    progress(f"starting sandbox {folder.name}: {chosen.describe()}")
    cluster = listen(last.cluster_port if last else 0)
    api = listen(last.api_port if last else 0)
    launching = asyncio.ensure_future(run_in_daemon_thread(launch, folder, cluster, api, chosen))
    try:
        await _await_at_most(launching, _INTERRUPTED_WAIT)
        if asks_for_api:
            ask_for_api(api.getsockname()[1], folder.workbench_token)
    except OSError as error:
        raise SandboxError(f"can't start sandbox {folder.name} in {folder.root}: {error}") from error
    finally:
        cluster.close()
        api.close()
    return await _ready(folder, progress, observer)


async def _ready(folder: SandboxPaths, progress: Progress, observer: StartObserver) -> Endpoint:
    """Wait until the controller reports that it and the cluster are ready."""
    deadline = time.monotonic() + _START_TIMEOUT
    answer = Readiness(False, "has not answered yet")
    while time.monotonic() < deadline:
        state = read_state(folder)
        if state is None or not _runs(folder):
            if state is not None and state.failure:
                raise SandboxError(f"sandbox {folder.name} can't run: {state.failure}. {remedy(folder)}")
            raise SandboxError(
                f"sandbox {folder.name} ended during its start:\n" + last_lines(folder.logs / "supervisor.log")
            )
        endpoint = Endpoint(state.api_url, folder.workbench_token, sandbox=folder.name)
        observer.listening(endpoint)
        failing = [name for name, child in state.children.items() if child.restarts >= _TOO_MANY_RESTARTS]
        answer = await run_in_daemon_thread(check_ready, state.api_port)
        if answer.ready:
            if state.version != own_version():
                progress(f"sandbox {folder.name} runs version {state.version}; this is {own_version()}")
            return endpoint
        observer.waiting(answer.detail)
        if failing:
            raise SandboxError(
                f"the {failing[0]} of sandbox {folder.name} keeps ending with "
                f"{state.children[failing[0]].last_exit}. The end of {folder.logs / failing[0]}.log:\n"
                + last_lines(folder.logs / f"{failing[0]}.log")
            )
        await asyncio.sleep(_POLL)
    raise SandboxError(
        f"sandbox {folder.name} is not ready after {_START_TIMEOUT:.0f} s: the controller {answer.detail}. "
        f"Its logs are in {folder.logs}; stop it with `c8s down --name {folder.name}`"
    )


async def _stop(folder: SandboxPaths, progress: Progress) -> None:
    """Terminate the supervisor with its processes, then those that a killed supervisor left."""
    state = read_state(folder)
    if state is not None and _runs(folder):
        progress(f"stopping sandbox {folder.name}")
        start = processes.start_time(state.pid)
        if start is not None and not await processes.terminate(state.pid, start, grace=_STOP_TIMEOUT):
            raise SandboxError(f"the supervisor of sandbox {folder.name} (pid {state.pid}) can't be ended")
    await _end_leftovers(folder, state)


async def _end_leftovers(folder: SandboxPaths, state: SandboxState | None) -> None:
    """Terminate the processes of a sandbox whose supervisor was killed, with their steps."""
    for child in reversed(list(state.children.values()) if state else []):
        await processes.terminate(child.pid, child.started, grace=20.0)


def _component(folder: SandboxPaths, state: SandboxState, name: str, url: str, answer: Readiness) -> ComponentStatus:
    child = state.children.get(name)
    detail = answer.detail
    if child is None or child.last_exit:
        detail += f"; last ended with {child.last_exit}" if child else "; not running"
    pid, restarts = (child.pid, child.restarts) if child else (None, 0)
    return ComponentStatus(name, answer.ready, detail, url, pid, restarts, folder.logs / f"{name}.log")


def _admin_token(folder: SandboxPaths) -> str | None:
    try:
        return str(json.loads(folder.kubeconfig.read_text())["users"][0]["user"]["token"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _touch(path: Path) -> None:
    path.touch(mode=0o600, exist_ok=True)
