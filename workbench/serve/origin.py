"""Which requests are from our own pages: the Host header, the Origin header, and what browsers say of the sender."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "[::1]"))
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Origins:
    """The host names under which the server is reached."""

    names: frozenset[str]
    any_address: bool = False
    """Whether any IP address is accepted, because the server listens on all. A page of another site can point a
    name of its own at this machine, but not an address."""

    def accepts_host(self, host: str | None) -> bool:
        """Whether a Host header names this server. Its port may be another one: that of a tunnel."""
        name = host_name(host)
        return name is not None and (name in self.names or (self.any_address and _is_address(name)))

    def accepts_origin(self, host: str, origin: str | None) -> bool:
        """Whether a request to `host`, which was accepted, comes from a page of the same host and port."""
        return origin is not None and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def origins_of(address: str, more: Iterable[str] = ()) -> Origins:
    """What a server that listens on an address accepts: its own names, and `more`."""
    names = LOOPBACK_NAMES | {_bracketed(each.lower()) for each in (address, *more)}
    return Origins(frozenset(names), any_address=is_wildcard(address))


def host_name(host: str | None) -> str | None:
    """The name of a Host header, in lower case and without its port; None if the header is not well-formed."""
    match = _HOST.fullmatch(host.lower()) if host is not None else None
    return match["name"] if match else None


def host_port(host: str) -> str:
    """The port of a Host header that was accepted; empty without one."""
    match = _HOST.fullmatch(host.lower())
    return (match["port"] or "") if match else ""


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def is_wildcard(address: str) -> bool:
    """Whether the address stands for all of this machine."""
    try:
        return ip_address(address.strip("[]")).is_unspecified
    except ValueError:
        return False


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
