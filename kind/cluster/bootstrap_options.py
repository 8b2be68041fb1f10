"""The options of `c8s up --kind`, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kind import kustomize, object_store
from kind.access import service_account_token
from kind.image import build as image
from kind.image.digests import DIGESTS_FILE
from kind.tools.kind_cli import NODE_IMAGE


@dataclass(frozen=True)
class BootstrapOptions:
    """The options of the command. `folder` holds the files of the sandbox, `cache` files that may be deleted."""

    cluster: str
    folder: Path
    cache: Path
    node_image: str = NODE_IMAGE
    base_image: str = image.BASE_IMAGE
    minio_image: str = kustomize.MINIO_TAG
    wheels: Path | None = None
    s3: object_store.S3Config | None = None
    load: tuple[str, ...] = ()
    """Further images to load onto the node."""
    provider: str = ""
    """The engine, as the command line names it; empty for the one that `kind.provider` chooses."""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def digests_file(self) -> Path:
        """What the tags named when they were first used, for all clusters: it outlives them."""
        return self.folder.parent / DIGESTS_FILE

    @property
    def record_file(self) -> Path:
        return self.folder / "kind.json"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def token(self) -> service_account_token.ServiceAccountToken:
        return service_account_token.ServiceAccountToken(
            self.folder / "credentials" / "workbench.token", self.kubeconfig
        )
