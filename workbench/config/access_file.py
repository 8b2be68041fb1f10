"""The file that gives a teammate access: a controller, a namespace and a token, which `c8s token use` makes a context.

    # c8s access for alice: viewer in team-a until 2026-11-30T08:00:00Z
    access: v1
    name: team-a
    server: https://c8s.example.org
    namespace: team-a
    expires: '2026-11-30T08:00:00Z'
    token: …

It comes from someone else, so that every field is checked before anything is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.files import write_private
from workbench.client.endpoint import Endpoint
from workbench.config.contexts import ContextError, check_server, read_contexts, write_context

VERSION = "v1"
MAX_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,98}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TOKEN = re.compile(r"[!-~]{1,16384}")


@dataclass(frozen=True)
class AccessFile:
    """Access to a namespace of a controller. `name`: what the context is to be called."""

    name: str
    server: str
    namespace: str
    token: str = field(repr=False)
    expires: datetime | None = None

    def render(self, comment: str) -> str:
        """The file, with a line of comment before it."""
        import yaml

        fields = {"access": VERSION, "name": self.name, "server": self.server, "namespace": self.namespace}
        expires = {"expires": self.expires.isoformat().replace("+00:00", "Z")} if self.expires is not None else {}
        document = yaml.safe_dump({**fields, **expires, "token": self.token}, sort_keys=False, width=1_000_000)
        return f"# {comment}\n{document}"


def parse_access(text: str, origin: str) -> AccessFile:
    """Read such a file.

    Raises:
        ContextError: it is none, or a field is not acceptable; the message never has the token in it.
    """
    import yaml

    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        # Without the parser's message, which quotes the text.
        raw = None
    if not isinstance(raw, dict) or "access" not in raw:
        raise ContextError(f"{origin} is not a file of `c8s token create`")
    if raw["access"] != VERSION:
        raise ContextError(f"{origin} has the version {str(raw['access'])[:20]!r}; this c8s reads {VERSION}: update it")
    return AccessFile(
        name=_field(raw, "name", _NAME, origin),
        server=check_server(str(raw.get("server") or "")[:2000], origin),
        namespace=_field(raw, "namespace", _NAMESPACE, origin),
        token=_field(raw, "token", _TOKEN, origin),
        expires=_moment(raw.get("expires"), origin),
    )


def save_access(config: Path, access: AccessFile, *, replace: bool) -> Path:
    """Add the context, and its token in a file of mode 0600 beside the config file; the path of that file.

    Raises:
        ContextError: there is another context of this name and `replace` is False, or a file can't be written.
    """
    known = read_contexts(config).endpoints.get(access.name)
    token_file = config.parent / f"{access.name}.token"
    if known is not None and not replace and (known.url, known.token_file) != (access.server, token_file):
        raise ContextError(
            f"there is a context {access.name!r} for {known.url} in {config}: choose another name with --as, or "
            "replace it with --force"
        )
    try:
        write_private(token_file, access.token + "\n")
    except OSError as error:
        raise ContextError(f"can't write {token_file}: {error.strerror}") from error
    write_context(config, access.name, Endpoint(access.server, token_file, access.namespace))
    return token_file


def is_context_name(name: str) -> bool:
    """Whether a context can have this name: it becomes the name of a file."""
    return _NAME.fullmatch(name) is not None


def _field(raw: dict[str, Any], key: str, pattern: re.Pattern[str], origin: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ContextError(f"{origin}: {key} is missing or not valid")
    return value


def _moment(value: object, origin: str) -> datetime | None:
    if value is None:
        return None
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ContextError(f"{origin}: expires is no time") from None
    if found.tzinfo is None:
        raise ContextError(f"{origin}: expires has no time zone")
    return found
