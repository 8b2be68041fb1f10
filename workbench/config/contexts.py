"""Contexts: named controllers in `$XDG_CONFIG_HOME/c8s/config.yaml`.

    current-context: team
    contexts:
      - name: team
        server: https://c8s.example.org
        tokenFile: ~/.config/c8s/team.token
        namespace: web

A context may define how its token is renewed (`renew: {kubeconfig: FILE, context: NAME}`) and which sandbox of this
machine it is (`sandbox: NAME`); `c8s install` and `c8s up --kind` write such contexts.

This module reads, checks and writes the file; it opens no connection and reads no token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from controller.files import write_private
from workbench.client.endpoint import Endpoint

CONTEXT_FIELDS = ("name", "server", "tokenFile", "namespace", "sandbox", "renew")
"""The fields of a context; docs/config.md describes them."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ContextError(Exception):
    """The config file is invalid, or has no such context; the message says where and what to do."""


@dataclass(frozen=True)
class Contexts:
    path: Path
    endpoints: Mapping[str, Endpoint]
    current: str | None

    def get(self, name: str) -> Endpoint:
        """The controller of this context.

        Raises:
            ContextError: there is none of that name.
        """
        found = self.endpoints.get(name)
        if found is None:
            known = ", ".join(sorted(self.endpoints)) or "none"
            raise ContextError(f"there is no context {name!r} in {self.path} (contexts: {known})")
        return found


def config_path() -> Path:
    """`$XDG_CONFIG_HOME/c8s/config.yaml`, or the platform's equivalent."""
    return Path(platformdirs.user_config_dir("c8s")) / "config.yaml"


def read_contexts(path: Path) -> Contexts:
    """The contexts of the file; empty if there is no file.

    Raises:
        ContextError: the file cannot be read, or is invalid.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Contexts(path, {}, None)
    except (OSError, UnicodeDecodeError) as error:
        raise ContextError(f"can't read {path}: {error}") from error
    import yaml

    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ContextError(f"{path} is not valid YAML: {error}") from error
    return _parsed(path, {} if raw is None else raw)


def _parsed(path: Path, raw: Any) -> Contexts:
    listed = raw.get("contexts") or [] if isinstance(raw, dict) else None
    if not isinstance(listed, list):
        raise ContextError(f"{path} must be a map with a list `contexts`")
    endpoints: dict[str, Endpoint] = {}
    for index, item in enumerate(listed):
        location = f"{path}: contexts[{index}]"
        if not isinstance(item, dict):
            raise ContextError(f"{location} must be a map with name, server and tokenFile")
        name = _text(item, "name", location)
        if name in endpoints:
            raise ContextError(f"{location}: there are two contexts with the name {name!r}")
        endpoints[name] = _endpoint(item, location, path.parent)
    current = raw.get("current-context")
    if current is not None and current not in endpoints:
        raise ContextError(f"{path}: current-context is {current!r}, but there is no context of that name")
    return Contexts(path, endpoints, current)


def _endpoint(item: Mapping[str, Any], location: str, folder: Path) -> Endpoint:
    server = check_server(_text(item, "server", location), location)
    token_file = folder / Path(_text(item, "tokenFile", location)).expanduser()
    namespace, sandbox = str(item.get("namespace") or "default"), item.get("sandbox")
    renew = item.get("renew") or {}
    if not isinstance(renew, dict) or (renew and not isinstance(renew.get("kubeconfig"), str)):
        raise ContextError(f"{location}: renew must be a map with kubeconfig and context")
    kubeconfig = folder / Path(renew["kubeconfig"]).expanduser() if renew else None
    return Endpoint(server, token_file, namespace, str(sandbox) if sandbox else None, kubeconfig, renew.get("context"))


def check_server(server: str, location: str) -> str:
    """The URL of a controller, without a slash at its end.

    Raises:
        ContextError: it is no URL, or one that would expose the token; the message begins with `location`.
    """
    server = server.rstrip("/")
    try:
        parts = urlsplit(server)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ContextError(f"{location}: server must be a URL such as https://c8s.example.org, not {server!r}")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ContextError(f"{location}: server must be an https:// URL, because http:// would expose the token")
    return server


def write_context(path: Path, name: str, endpoint: Endpoint) -> None:
    """Add or replace a context. It becomes the current one if there was none.

    Raises:
        ContextError: the existing file is invalid; it is not changed.
    """
    raw = _raw(path)
    item: dict[str, Any] = {"name": name, "server": endpoint.url, "tokenFile": str(endpoint.token_file)}
    item["namespace"] = endpoint.namespace
    if endpoint.sandbox is not None:
        item["sandbox"] = endpoint.sandbox
    if endpoint.kubeconfig is not None:
        item["renew"] = {"kubeconfig": str(endpoint.kubeconfig), "context": endpoint.kube_context}
    others = [each for each in raw.get("contexts") or [] if each.get("name") != name]
    _write(path, {"current-context": raw.get("current-context") or name, **raw, "contexts": [*others, item]})


def remove_context(path: Path, name: str) -> None:
    """Remove a context, if it exists."""
    raw = _raw(path)
    others = [each for each in raw.get("contexts") or [] if each.get("name") != name]
    if len(others) == len(raw.get("contexts") or []):
        return
    remaining = {key: value for key, value in raw.items() if key != "current-context" or value != name}
    _write(path, {**remaining, "contexts": others})


def _raw(path: Path) -> dict[str, Any]:
    """The content of the file, after it was checked."""
    import yaml

    read_contexts(path)
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _write(path: Path, raw: Mapping[str, Any]) -> None:
    import yaml

    try:
        # Write to the target of a link: the file may be under version control elsewhere.
        write_private(path.resolve(), yaml.safe_dump(dict(raw), sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise ContextError(f"can't write {path}: {error}") from error


def _text(item: Mapping[str, Any], name: str, location: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise ContextError(f"{location}: {name} is missing")
    return value
