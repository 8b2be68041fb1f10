"""The settings of a proxy that signs people in to the dashboard: whom to believe, and which headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from controller.settings.errors import SettingsError

_HEADER = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]{0,98}[A-Za-z0-9])?")
_OTHER_HEADERS = frozenset({"authorization", "connection", "cookie", "host", "origin", "x-c8s-proxy-secret"})
"""Headers with a meaning of their own."""
_PREFIX = re.compile(r"[-A-Za-z0-9._:/#@]{1,100}")
_PATH = re.compile(r"/(?![/\\])[-\w./%?&=:+~]{0,500}", re.ASCII)
_NONE = "-"


@dataclass(frozen=True)
class AuthProxySettings:
    """A proxy that is believed if it connects from one of `addresses` and knows the secret in the file.

    Attributes:
        user_header: in lower case, as all names of headers here.
        name_prefix: what the names of its users and groups begin with in Kubernetes; may be empty.
        sign_out: the path that ends the session at the proxy; empty for none.
    """

    secret_file: Path
    addresses: tuple[IPv4Network | IPv6Network, ...]
    user_header: str
    groups_header: str
    name_prefix: str
    sign_out: str


def parse_auth_proxy(values: Mapping[str, Any]) -> AuthProxySettings | None:
    """The settings from the values of the flags; None without the file of a secret. Raises SettingsError."""
    if not values["auth_proxy_secret_file"]:
        return None
    addresses = tuple(parse_network(text) for text in values["auth_proxy_address"])
    if not addresses:
        raise SettingsError("--auth-proxy-address is required with --auth-proxy-secret-file")
    user, groups = (_parse_header(name, values) for name in ("auth-proxy-user-header", "auth-proxy-groups-header"))
    if user == groups:
        raise SettingsError(f"--auth-proxy-groups-header {groups}: it is also the header that names the user")
    return AuthProxySettings(
        secret_file=Path(values["auth_proxy_secret_file"]),
        addresses=addresses,
        user_header=user,
        groups_header=groups,
        name_prefix=_parse_prefix(values["auth_proxy_name_prefix"]),
        sign_out=_parse_path(values["auth_proxy_sign_out"]),
    )


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Addresses as CIDR. Raises SettingsError for none, and for all that there are."""
    try:
        found = ip_network(text.strip())
    except ValueError as error:
        raise SettingsError(f"--auth-proxy-address {text}: expected addresses like 10.244.0.0/16 ({error})") from None
    if found.prefixlen == 0:
        raise SettingsError(f"--auth-proxy-address {text}: these are all addresses; name those of the proxy")
    return found


def _parse_header(name: str, values: Mapping[str, Any]) -> str:
    text: str = values[name.replace("-", "_")]
    if not _HEADER.fullmatch(text) or text.lower() in _OTHER_HEADERS:
        raise SettingsError(f"--{name} {text}: expected the name of a header, such as X-Forwarded-User")
    return text.lower()


def _parse_prefix(text: str) -> str:
    if text == _NONE:
        return ""
    if not _PREFIX.fullmatch(text) or text.lower().startswith("system:"):
        raise SettingsError(f"--auth-proxy-name-prefix {text}: expected a prefix like oidc:, or - for none")
    return text


def _parse_path(text: str) -> str:
    if text == _NONE:
        return ""
    if not _PATH.fullmatch(text):
        raise SettingsError(f"--auth-proxy-sign-out {text}: expected a path like /oauth2/sign_out, or - for none")
    return text
