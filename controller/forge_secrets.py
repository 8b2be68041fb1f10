"""Secrets of connections to forges: which may be used for them, and to which hosts their credentials may go. Pure.

Who may change a connection may not read its Secrets. Without a list of hosts in the Secret, they could have its token
sent to a server of their own, as the repository or as the forge's API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from controller import labels

DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}

Json = Mapping[str, Any]


def is_for_forges(secret: Json) -> bool:
    """Whether connections may use a Secret: one that is labelled for it."""
    return (secret["metadata"].get("labels") or {}).get(labels.FORGE_SECRET) == "true"


def hosts_of(secret: Json) -> frozenset[str]:
    """The hosts that the credentials of a Secret may be sent to, as its annotation names them."""
    text = str((secret["metadata"].get("annotations") or {}).get(labels.HOSTS) or "")
    return frozenset(each.strip().lower() for each in text.split(",") if each.strip())


def withheld_reason(name: str, secret: Json, url: str) -> str:
    """Why the credentials of a Secret are not sent to the host of a URL, as a sentence; empty if they are."""
    if not is_for_forges(secret):
        return f"the Secret {name} is not for connections: it lacks the label {labels.FORGE_SECRET}=true"
    host, known = host_of(url), hosts_of(secret)
    if host in known:
        return ""
    named = f"for {', '.join(sorted(known))} only" if known else "for no host yet"
    return (
        f"the Secret {name} is {named}, not for {host}: give the credentials again with `c8s connect add --token`, or "
        f"have a user who may change the Secret set its annotation {labels.HOSTS}"
    )


def host_of(url: str) -> str:
    """`host[:port]` of a URL of a repository or of an API, in lower case; the port only if it is not the usual one."""
    return _split(url)[0]


def canonical_url(url: str) -> str:
    """`host[:port]/path` of a repository, in lower case, without user, scheme and `.git`; what is no URL as it is.

    Forges name one repository by several URLs, which differ in these.
    """
    host, path = _split(url)
    return f"{host}/{path.strip('/').removesuffix('.git')}".lower() if host else url.lower()


def _split(url: str) -> tuple[str, str]:
    """(host with port, path); an empty host for what is no URL."""
    if "://" not in url:
        # git@host:path
        host, colon, path = url.rpartition("@")[2].partition(":")
        return (host.lower(), path) if colon else ("", url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", url
    host = (parts.hostname or "").lower()
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    return host, parts.path
