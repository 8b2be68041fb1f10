"""A real cluster for the scenarios: the one that the kubeconfig in C8S_TEST_KUBECONFIG names."""

from __future__ import annotations

import base64
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml


def server_of(kubeconfig: Path, folder: Path, play: ModuleType) -> Any:
    """The player's server for the current context. Certificates and keys inside the file go to `folder`."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    authority = _file(cluster, "certificate-authority", kubeconfig, folder)
    server = play.Server(cluster["server"], user.get("token"), authority)
    certificate, key = (_file(user, field, kubeconfig, folder) for field in ("client-certificate", "client-key"))
    if certificate and server.context is not None:
        server.context.load_cert_chain(certificate, key)
    return server


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _file(entry: dict[str, Any], field: str, kubeconfig: Path, folder: Path) -> str | None:
    if data := entry.get(f"{field}-data"):
        target = folder / field
        target.touch(mode=0o600)
        target.write_bytes(base64.b64decode(data))
        return str(target)
    return str(kubeconfig.parent / entry[field]) if entry.get(field) else None
