"""RepositoryConnections as values: which repository they are for, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.forge_secrets import canonical_url


@dataclass(frozen=True)
class Connection:
    """A RepositoryConnection.

    Attributes:
        webhook_secret: the name of the Secret whose values deliveries are signed with.
        auth_secret: the name of the Secret with the credentials for cloning and for statuses; empty for none.
        pipelines: names of PipelineConfigs; empty for the pipeline of the repository itself.
        pipeline_file: the path of that pipeline in the repository; empty for the default.
        forks: whether pull requests from forks run: `approve`, `never` or `always`.
    """

    namespace: str
    name: str
    uid: str
    repository: str
    provider: str
    webhook_secret: str
    auth_secret: str = ""
    pipelines: tuple[str, ...] = ()
    pipeline_file: str = ""
    forks: str = "approve"

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Connection:
        """The connection of an object from the Kubernetes API, whose shape the schema guarantees."""
        metadata, spec = obj["metadata"], obj["spec"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            repository=spec["repository"],
            provider=spec["provider"],
            webhook_secret=spec["webhookSecretRef"]["name"],
            auth_secret=(spec.get("authSecretRef") or {}).get("name", ""),
            pipelines=tuple(each["name"] for each in spec.get("pipelines") or ()),
            pipeline_file=spec.get("pipelineFile") or "",
            forks=(spec.get("forks") or {}).get("run") or "approve",
        )

    def is_about(self, urls: tuple[str, ...]) -> bool:
        """Whether one of the URLs of a delivery is that of the repository."""
        own = canonical_url(self.repository)
        return any(canonical_url(url) == own for url in urls)
