"""RepositoryConnections as values: which repository they are for, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}


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


def canonical_url(url: str) -> str:
    """`host[:port]/path` of a repository, in lower case, without user, scheme and `.git`; what is no URL as it is.

    Forges name one repository by several URLs, which differ in these.
    """
    if "://" not in url:
        # git@host:path
        host, colon, path = url.rpartition("@")[2].partition(":")
        return _joined(host, path) if colon else url.lower()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url.lower()
    host = parts.hostname or ""
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    return _joined(host, parts.path)


def _joined(host: str, path: str) -> str:
    return f"{host}/{path.strip('/').removesuffix('.git')}".lower()
