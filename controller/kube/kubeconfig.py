"""Kubeconfigs and in-cluster credentials, as a `Server` to talk to.

The plain forms (a token, a token file, client certificates) are read here,
and so is a pod's service account, because the official package takes half a
second to import and 126 MB of an image; exec plugins and OIDC are left to it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.kube.client import ConnectionConfig, KubeClient
from controller.kube.errors import KubeconfigError

Json = dict[str, Any]

_SUPPORTED_USER_FIELDS = {
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
}


def connect(kubeconfig: Path | None, context: str | None = None) -> KubeClient:
    """A client for a context of a kubeconfig; without a file for the cluster that this process runs in.

    Raises:
        KubeconfigError: the file or the context can't be used, and why.
    """
    return KubeClient(_in_cluster() if kubeconfig is None else _from_file(kubeconfig, context))


def read_cluster(path: Path, context: str | None = None) -> Json:
    """The cluster of a context as in a kubeconfig, with its certificate in it; no credentials.

    Raises:
        KubeconfigError: the file or the context can't be used, and why.
    """
    config, name = _load(path, context)
    chosen = _find_entry(config, "contexts", "context", name, path)
    cluster = dict(_find_entry(config, "clusters", "cluster", chosen.get("cluster"), path))
    authority = _resolve_path(cluster.pop("certificate-authority", None), path)
    if authority is not None and not cluster.get("certificate-authority-data"):
        try:
            cluster["certificate-authority-data"] = base64.b64encode(Path(authority).read_bytes()).decode()
        except OSError as error:
            raise KubeconfigError(f"{path}: the certificates can't be used: {error}") from error
    return cluster


def _load(path: Path, context: str | None) -> tuple[Json, str]:
    """A kubeconfig, and the name of the context to use."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"can't read the kubeconfig {path}: {error}") from error
    config = _parse(text, path)
    if not isinstance(config, dict):
        raise KubeconfigError(f"{path} is no kubeconfig")
    name = context or config.get("current-context")
    if not name:
        raise KubeconfigError(f"{path} has no current-context; name one")
    return config, str(name)


def _from_file(path: Path, context: str | None) -> ConnectionConfig:
    config, name = _load(path, context)
    chosen = _find_entry(config, "contexts", "context", name, path)
    cluster = _find_entry(config, "clusters", "cluster", chosen.get("cluster"), path)
    user = _find_entry(config, "users", "user", chosen.get("user"), path)
    if not cluster.get("server"):
        raise KubeconfigError(f"{path}: cluster {chosen.get('cluster')} has no server")
    if set(user) - _SUPPORTED_USER_FIELDS:
        return _from_official_client(path, name, chosen, cluster)
    tls = _tls(cluster, user, path) if str(cluster["server"]).startswith("https") else None
    return ConnectionConfig(
        cluster["server"],
        _token(user, path.parent),
        tls,
        chosen.get("namespace") or "default",
        tls_server_name=cluster.get("tls-server-name"),
        proxy_url=cluster.get("proxy-url"),
    )


def _parse(text: str, path: Path) -> Any:
    """The document, in JSON (as the sandbox writes it, which is read without YAML's parser) or in YAML."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        # Without the error's text, which may quote the file: it contains credentials.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise KubeconfigError(f"the kubeconfig {path} is not YAML: there is a mistake{where}") from None


def _find_entry(config: Json, section: str, kind: str, name: object, path: Path) -> Json:
    entries = config.get(section)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind) or {}
            if not isinstance(found, dict):
                raise KubeconfigError(f"{path}: the {kind} {name!r} is no mapping")
            return found
    raise KubeconfigError(f"{path} has no {kind} {name!r}")


def _token(user: Json, folder: Path) -> Callable[[], str | None]:
    if user.get("tokenFile"):
        return TokenFile(folder / user["tokenFile"]).read
    token = user.get("token")
    return lambda: token


class TokenFile:
    """A token that is renewed on disk: read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file_version: tuple[int, int] | None = None
        self._token = ""

    def read(self) -> str:
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_ino) != self._file_version:
                self._token = self._path.read_text().strip()
                self._file_version = (stat.st_mtime_ns, stat.st_ino)
        except (OSError, UnicodeDecodeError) as error:
            if not self._token:
                raise KubeconfigError(f"can't read the token file {self._path}: {error}") from error
        return self._token


def _tls(cluster: Json, user: Json, path: Path) -> ssl.SSLContext:
    try:
        # With an authority of its own the cluster is checked against that alone, not the machine's as well.
        data = cluster.get("certificate-authority-data")
        given = _decode_base64(data).decode() if data else None
        authority = None if given else _resolve_path(cluster.get("certificate-authority"), path)
        tls = ssl.create_default_context(cafile=authority, cadata=given)
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        _load_client_certificate(tls, user, path)
    except (OSError, ValueError) as error:
        raise KubeconfigError(f"{path}: the certificates can't be used: {error}") from error
    return tls


def _resolve_path(name: str | None, kubeconfig: Path) -> str | None:
    return str(kubeconfig.parent / name) if name else None


def _decode_base64(data: str) -> bytes:
    return base64.b64decode(data)


def _load_client_certificate(tls: ssl.SSLContext, user: Json, path: Path) -> None:
    if user.get("client-certificate"):
        key = _resolve_path(user.get("client-key"), path)
        tls.load_cert_chain(str(_resolve_path(user["client-certificate"], path)), key)
    elif user.get("client-certificate-data"):
        # ssl reads certificates from files only; this one has mode 0600 and is deleted at once.
        with tempfile.TemporaryDirectory() as folder:
            certificate, key_file = Path(folder, "crt"), Path(folder, "key")
            for file, field in ((certificate, "client-certificate-data"), (key_file, "client-key-data")):
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
                with os.fdopen(descriptor, "wb") as target:
                    target.write(_decode_base64(user.get(field) or ""))
            tls.load_cert_chain(str(certificate), str(key_file))


def _in_cluster() -> ConnectionConfig:
    """The pod's own service account: three files and two variables, as every pod has them."""
    folder = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise KubeconfigError("not inside a cluster, and no kubeconfig was given: name one with --kubeconfig")
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    namespace = (folder / "namespace").read_text().strip() if (folder / "namespace").exists() else "default"
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return ConnectionConfig(url, TokenFile(folder / "token").read, tls, namespace)


def _from_official_client(path: Path, context: str, chosen: Json, cluster: Json) -> ConnectionConfig:
    """Everything that needs a program or a protocol to get a token."""
    from kubernetes import config
    from kubernetes.client import Configuration

    settings = Configuration()
    try:
        config.load_kube_config(str(path), context, client_configuration=settings)
    except (config.ConfigException, OSError) as error:
        raise KubeconfigError(f"{path}: context {context} can't be used: {error}") from error
    tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if settings.cert_file:
        tls.load_cert_chain(settings.cert_file, settings.key_file)

    def token() -> str | None:
        header = settings.get_api_key_with_prefix("BearerToken", "authorization") or ""
        return str(header).removeprefix("Bearer ") or None

    return ConnectionConfig(
        settings.host,
        token,
        tls if settings.host.startswith("https") else None,
        chosen.get("namespace") or "default",
        tls_server_name=cluster.get("tls-server-name"),
        proxy_url=cluster.get("proxy-url"),
    )
