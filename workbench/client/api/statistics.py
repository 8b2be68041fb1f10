"""Statistics of pipelines over their last runs."""

from __future__ import annotations

from workbench.client.api.base import ApiCalls
from workbench.client.statistics import PipelineTrend, decode_statistics


class StatisticsCalls(ApiCalls):
    """The calls below `/statistics`."""

    async def list_statistics(self) -> tuple[PipelineTrend, ...]:
        """All pipelines of the namespace that have ended runs, by name, without their steps."""
        items = await self._get_items(self._path("statistics"), "read the statistics")
        return tuple(decode_statistics(item) for item in items)

    async def statistics(self, pipeline: str) -> PipelineTrend:
        """One pipeline, with its steps. Raises NotFoundError if no run of it has ended."""
        path = self._path("statistics", pipeline)
        return decode_statistics(await self._get_object(path, f"read the statistics of {pipeline}"))
