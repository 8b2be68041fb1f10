"""Has spare copies of the sources of runs made, for the steps that begin next.

For agents that are processes of this machine. One is made when for a moment no step has started or ended, also while
steps run: a run that starts after a save often cancels one that is going on. What a spare copy is, and how many there
are at most, is the agent's to decide (`controller.agent.sources`).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any

from controller.kube import NAMESPACES, Informer, KubeClient, KubeError
from controller.operator.effects.source_files import LISTED, ListedSources
from controller.run_types.order import CreationKey, creation_order
from controller.run_types.phases import FINAL_RUN_PHASES, StepPhase
from controller.run_types.reasons import StepReason
from controller.run_types.summary import status_of
from controller.storage import ObjectStore, StorageError
from controller.storage.sources import SourceId, find_source

Json = dict[str, Any]

CALM_SECONDS = 0.3
MAX_BYTES = 256 * 1024**2
"""Of an archive: the sources of large trees take long to make, and as much of the disk once more."""
MIN_BYTES, MIN_FILES = 1024, 64
"""Of an archive, and its files: fewer are unpacked as quickly, and the agent makes no spare copy of them."""
_TIMEOUT = 900.0
_log = logging.getLogger("c8s.spare_sources")


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class SpareSources:
    """Makes the spare copy of the newest run's source when it is calm.

    Args:
        runs: an informer on PipelineRuns, which the caller runs.
        command: that starts the agent.
    """

    def __init__(
        self,
        client: KubeClient,
        store: ObjectStore,
        runs: Informer,
        command: Sequence[str],
        now: Callable[[], datetime] = utc_now,
        calm: float = CALM_SECONDS,
        listed: ListedSources = LISTED,
    ) -> None:
        self._listed = listed
        self._client = client
        self._store = store
        self._runs = runs
        self._command = [*command, "spare"]
        self._now = now
        self._calm = calm
        self._changed = asyncio.Event()
        self._is_watching = False
        self._attempts: dict[str, int] = {}
        """Attempts of steps by the uid of the run: each may have taken the spare copy."""
        self._wanted: tuple[str, str] | None = None
        """Namespace and digest of the source of the newest run, until its spare copy is made."""
        self._newest: CreationKey[str] | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        await self._runs.wait_for_sync()
        if not self._is_watching:
            # Runs that exist already get none: they may be of long ago. Handlers can't be removed.
            self._runs.on_change(self._on_run)
            self._is_watching = True
        while True:
            await self._wait_for_calm()
            if self._wanted is not None and not self._is_starting():
                wanted, self._wanted = self._wanted, None
                await self._make(*wanted)

    async def _wait_for_calm(self) -> None:
        """Wait for a change, and then until nothing has changed for a moment."""
        await self._changed.wait()
        with suppress(TimeoutError):
            while True:
                self._changed.clear()
                async with asyncio.timeout(self._calm):
                    await self._changed.wait()

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        run = new or old or {}
        uid = str(run["metadata"]["uid"])
        digest = ((run["spec"].get("source") or {}).get("archive") or {}).get("digest")
        if kind == "DELETED" or not digest:
            self._attempts.pop(uid, None)
            return
        self._changed.set()
        attempts = sum(len(step.get("attempts") or ()) for step in status_of(run).get("steps") or ())
        order = creation_order(run)
        if attempts != self._attempts.get(uid, 0) and (self._newest is None or order >= self._newest):
            self._newest, self._wanted = order, (str(run["metadata"]["namespace"]), str(digest))
        self._attempts[uid] = attempts

    def _is_starting(self) -> bool:
        """Whether a step is being started now, which the making would delay."""
        for run in self._runs.list():
            status = run.get("status") or {}
            for step in () if status.get("phase") in FINAL_RUN_PHASES else status.get("steps") or ():
                has_pod = step["phase"] == StepPhase.PENDING and step.get("attempts")
                if has_pod and step.get("reason") != StepReason.WAITING_AT_GATE:
                    return True
        return False

    async def _make(self, namespace: str, digest: str) -> None:
        sha256 = digest.removeprefix("sha256:")
        try:
            metadata = (await self._client.get(NAMESPACES, namespace))["metadata"]
            stored = await find_source(self._store, SourceId(namespace, str(metadata["uid"]), sha256), self._now())
            if stored is None or not MIN_BYTES <= stored.size <= MAX_BYTES or self._is_small(sha256):
                return
            async with asyncio.timeout(_TIMEOUT):
                _log.debug("%s", await self._run_agent(sha256, stored.key))
        except (KubeError, StorageError, OSError, TimeoutError) as error:
            # Steps unpack their source themselves.
            _log.warning("no spare copy of a source was made: %s", error or type(error).__name__)

    def _is_small(self, sha256: str) -> bool:
        """Whether it is known that the source has few files."""
        files = self._listed.get(sha256)
        return files is not None and len(files) < MIN_FILES

    async def _run_agent(self, sha256: str, key: str) -> str:
        """Let the agent make it from the stored archive; what it says. Raises OSError if it fails."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            sha256,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # It need not read all of it.
            with suppress(ConnectionError):
                async with aclosing(self._store.read(key)) as chunks:  # type: ignore[type-var]
                    async for chunk in chunks:
                        process.stdin.write(chunk)
                        await process.stdin.drain()
            process.stdin.close()
            said = (await process.stdout.read(4096)).decode(errors="replace").strip()
            if await process.wait() != 0:
                raise OSError(said or f"the agent ended with {process.returncode}")
            return said
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
