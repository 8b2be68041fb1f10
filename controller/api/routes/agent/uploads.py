"""The uploads of agents: an archive under a key with its digest, and then the manifest that makes it count."""

from __future__ import annotations

from typing import Protocol

from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.budgets import StorageBudget
from controller.api.http.problems import ApiProblemError
from controller.api.models.agent import UploadRequest
from controller.api.state import AppState
from controller.storage import ObjectNotFoundError, UploadMismatchError


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
    return JSONResponse(await state.upload_link(archive, body.size, body.sha256))


async def commit_archive(
    state: AppState, key: UploadKey, sha256: str, size: int, budget: StorageBudget, reporter: str
) -> None:
    """Make an uploaded archive an object; its manifest can be stored then.

    Args:
        reporter: what says that it has `size` bytes.

    Raises:
        ApiProblemError: it was not uploaded, has another size or digest, or is beyond the budget.
    """
    is_new = await state.store.head(key.manifest) is None
    await commit_upload(state, key.archive(sha256), sha256, size, budget if is_new else None, reporter)


async def commit_upload(
    state: AppState, key: str, sha256: str, size: int, budget: StorageBudget | None, reporter: str = "the call"
) -> None:
    """The same for any key that contains the digest (hex); `budget` is None for what was committed before."""
    if budget is not None:
        await budget.commit(key, size)
    try:
        await state.store.commit_upload(key, size, sha256)
    except ObjectNotFoundError:
        detail = f"the archive in the store is not there, {reporter} says {size} bytes"
        raise ApiProblemError("conflict", detail) from None
    except UploadMismatchError as error:
        raise ApiProblemError("conflict", f"the archive is not committed: {error}") from error
