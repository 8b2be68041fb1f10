"""Which containers are those of a cluster: they carry the identity of its data as a label."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

CLUSTER_LABEL = "io.c8s.cluster"
_DATA_LABEL = "io.c8s.data-dir"
_ID_FILE = "cluster-id"


def cluster_labels(data_dir: Path) -> Mapping[str, str]:
    """The labels of all containers of the cluster with this data."""
    return {CLUSTER_LABEL: cluster_id(data_dir), _DATA_LABEL: str(data_dir)}


def has_cluster_id(data_dir: Path) -> bool:
    """Whether an engine has been used for this data."""
    return (data_dir / _ID_FILE).exists()


def cluster_id(data_dir: Path) -> str:
    """The identity of the cluster whose data this is; made at its first start.

    Raises:
        OSError: it can't be stored.
    """
    file = data_dir / _ID_FILE
    with suppress(OSError):
        if (known := file.read_text().strip()).isalnum():
            return known
    file.write_text(secrets.token_hex(16))
    return file.read_text().strip()
