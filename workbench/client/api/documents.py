"""What the API says of a run, as it says it: for a copy that later versions can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.client.api.base import ApiCalls, to_params

Document = Mapping[str, Any]

_PAGE = 5_000
_MAX_ITEMS = 1_000_000


class DocumentCalls(ApiCalls):
    """Answers of the API without decoding."""

    async def cluster_document(self) -> Document:
        """Runtime, images and version of the controller."""
        return await self._get_object("/api/v1/cluster", "describe the cluster")

    async def event_documents(self, run: str) -> list[Document]:
        """The cluster's events about the run, oldest first."""
        return list(await self._get_items(self._path("runs", run, "events"), f"list the events of run {run}"))

    async def command_documents(self, run: str, step: str, attempt: int) -> list[Document]:
        """The commands of an attempt that have started."""
        path, action = self._path("runs", run, "steps", step, "commands"), f"read the commands of step {step} of {run}"
        return list(await self._get_items(path, action, to_params(attempt=attempt)))

    async def artifact_documents(self, run: str, limit: int) -> list[Document]:
        """The artifacts of the run, at most `limit`."""
        path, action = self._path("runs", run, "artifacts"), f"list the artifacts of run {run}"
        return (await self._pages(path, action, limit))[0]

    async def test_documents(self, run: str) -> dict[str, Any]:
        """The tests of the run: `steps`, and all `items`."""
        path, action = self._path("runs", run, "tests"), f"list the tests of run {run}"
        items, last = await self._pages(path, action, _MAX_ITEMS)
        return {"steps": last.get("steps") or [], "items": items}

    async def _pages(self, path: str, action: str, limit: int) -> tuple[list[Document], Document]:
        """The items of all pages, and the last page."""
        found: list[Document] = []
        token: str | None = None
        while True:
            params = to_params(limit=min(_PAGE, limit - len(found)), **{"continue": token})
            page = await self._get_object(path, action, params)
            items = page.get("items")
            found += [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            following = page.get("continue")
            if not following or following == token or len(found) >= limit:
                return found, page
            token = str(following)
