"""The uploads of agents: an archive under a key with its digest, and then the manifest that makes it count."""

from __future__ import annotations

from typing import Protocol

from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.budgets import StorageBudget
from controller.api.http.problems import ApiProblemError
from controller.api.models.agent import UploadRequest
from controller.api.state import AppState


class UploadKey(Protocol):
    """The keys of one upload in the object store."""

    @property
    def manifest(self) -> str:
        """The key of the manifest, which is written last."""
        ...

    def archive(self, sha256: str) -> str:
        """The key of the archive with this digest (hex)."""
        ...


async def grant_upload(
    state: AppState, key: UploadKey, body: UploadRequest, budget: StorageBudget, committed: str
) -> Response:
    """The URL to PUT an archive to. Raises a problem with the text `committed` if its manifest is stored already."""
    if await state.store.head(key.manifest) is not None:
        raise ApiProblemError("conflict", committed)
    archive = key.archive(body.sha256)
    await budget.promise(archive, body.size)
    return JSONResponse({"url": await state.signed_url("PUT", archive, size=body.size)})


async def commit_archive(
    state: AppState, key: UploadKey, sha256: str, size: int, budget: StorageBudget, reporter: str
) -> None:
    """Count an archive that is stored; its manifest can be stored then.

    Args:
        reporter: what says that it has `size` bytes.

    Raises:
        ApiProblemError: it is not stored, or has another size.
    """
    archive = key.archive(sha256)
    stored = await state.store.head(archive)
    if stored is None or stored.size != size:
        found = "not there" if stored is None else f"{stored.size} bytes"
        raise ApiProblemError("conflict", f"the archive in the store is {found}, {reporter} says {size} bytes")
    if await state.store.head(key.manifest) is None:
        await budget.commit(archive, stored.size)
