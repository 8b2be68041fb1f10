"""The namespace and its controller: lint, secrets, saved pipelines, cluster and health."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.client import decode
from workbench.client.api.base import ApiCalls
from workbench.client.models import Cluster, Health, LintResponse, SavedPipeline, SecretNames


class ClusterCalls(ApiCalls):
    """The calls that are not about a run."""

    async def lint(self, text: str, *, event: str | None = None, branch: str | None = None) -> LintResponse:
        """Check a pipeline file; with `event` (and `branch`), also whether that event would start a run."""
        document = {"text": text} | {
            name: value for name, value in (("event", event), ("branch", branch)) if value is not None
        }
        return decode.decode_lint(await self._post("/api/v1/lint", "lint the file", document))

    async def secrets(self) -> tuple[SecretNames, ...]:
        """Names and keys; values cannot be read back."""
        items = await self._get_items(self._path("secrets"), "list secrets")
        return tuple(decode.decode_secret(item) for item in items)

    async def put_secret(self, name: str, data: Mapping[str, str]) -> tuple[str, ...]:
        """Set keys of a secret; its other keys are unchanged. Returns warnings of values that are hard to mask."""
        answer = await self._transport.call(
            "PUT", self._path("secrets", name), f"set secret {name}", document={"data": dict(data)}
        )
        warnings = answer.get("warnings") if isinstance(answer, Mapping) else None
        return tuple(str(each) for each in warnings or ())

    async def delete_secret(self, name: str) -> None:
        await self._transport.call("DELETE", self._path("secrets", name), f"delete secret {name}")

    async def cluster(self) -> Cluster:
        return decode.decode_cluster(await self._get_object("/api/v1/cluster", "describe the cluster"))

    async def health(self) -> Health:
        """The state of the namespace and of the controller's components: queue, quotas and pods."""
        return decode.decode_health(await self._get_object(self._path("cluster"), "read the health of the namespace"))

    async def pipelines(self) -> tuple[SavedPipeline, ...]:
        """The pipelines saved in the namespace, by name."""
        items = await self._get_items(self._path("pipelines"), "list the pipelines")
        return tuple(decode.decode_pipeline(item) for item in items)
