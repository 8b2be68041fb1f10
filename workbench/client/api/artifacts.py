"""Artifacts of steps: listed, and downloaded to files that are replaced atomically."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from controller.files import atomic_file
from workbench.client import decode
from workbench.client.api.base import CHUNK, ApiCalls, to_params
from workbench.client.errors import DamagedDownloadError
from workbench.client.models import Artifact

_DIGEST_ETAG = re.compile(r'(?:W/)?"([0-9a-f]{64})"')

_PAGE = 5_000
"""Files in one answer, which is decoded in one piece."""


class ArtifactCalls(ApiCalls):
    """The calls below `/runs/{run}/artifacts`."""

    async def artifacts(self, run: str, *, step: str | None = None, limit: int | None = None) -> tuple[Artifact, ...]:
        """The artifacts of a run or of one step (its slug), at most `limit`: a step can have 200,000."""
        path, action = self._path("runs", run, "artifacts"), f"list the artifacts of run {run}"
        found: list[Artifact] = []
        token: str | None = None
        while limit is None or len(found) < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - len(found))
            params = to_params(step=step, limit=size, **{"continue": token})
            page = await self._get_object(path, action, params)
            items = page.get("items")
            found += [decode.decode_artifact(item) for item in (items if isinstance(items, list) else ())]
            token = page.get("continue")
            if not token:
                break
        return tuple(found)

    async def download(self, run: str, step: str, target: Path, *, mode: int = 0o600) -> int:
        """Download a step's artifacts (tar.gz) to the file `target`, whole or not at all; its size in bytes."""
        path = self._path("runs", run, "artifacts", step)
        return await self._save(path, f"download the artifacts of step {step} of run {run}", target, mode)

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int:
        """Download one file of a step's artifacts to `target`, whole or not at all; its size in bytes."""
        file_path = self._path("runs", run, "artifacts", step, "files", *path.split("/"))
        return await self._save(file_path, f"download {path} of step {step} of run {run}", target, 0o600)

    async def _save(self, path: str, action: str, target: Path, mode: int) -> int:
        size, digest = 0, hashlib.sha256()
        async with self._transport.open_once("GET", path, action) as answer:
            # The ETag of an archive or file is its SHA-256 as the agent that stored it computed it.
            stored = _DIGEST_ETAG.fullmatch(answer.headers.get("ETag", ""))
            with atomic_file(target, mode=mode) as file:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    size += file.write(chunk)
                    digest.update(chunk)
                if stored is not None and digest.hexdigest() != stored[1]:
                    raise DamagedDownloadError(
                        f"can't {action}: the data is damaged: its SHA-256 is {digest.hexdigest()}, not {stored[1]} as "
                        "when it was stored. Try again; if that does not help, run the step again"
                    )
        return size
