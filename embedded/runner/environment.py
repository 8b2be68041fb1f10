"""The environment of a container: what it inherits, what its spec says, and what `$(NAME)` stands for."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]

# All that a container sees of the environment the cluster was started in. docs/embedded.md says why each.
INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class ConfigError(Exception):
    """A container can't be started as its spec stands: the message is the one a kubelet gives."""


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in INHERITED if name in environment}


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; what is unknown stays as written and `$$` is a dollar sign."""

    def put(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        return values.get(match.group(1), match.group())

    return _REFERENCE.sub(put, text)


Lookup = Callable[[str], Json | None]


def container_environment(container: Json, pod: Json, secret: Lookup, config_map: Lookup) -> dict[str, str]:
    """The variables that the spec gives a container. `secret` and `config_map` find objects by name.

    Raises:
        ConfigError: an object or key that is not optional is missing.
    """
    values: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        values |= _from_all_keys(source, secret, config_map)
    for variable in container.get("env") or []:
        name = variable["name"]
        if "valueFrom" in variable:
            found = _from_source(variable["valueFrom"], pod, secret, config_map)
            if found is not None:
                values[name] = found
        else:
            values[name] = expand(str(variable.get("value") or ""), values)
    return values


def _from_all_keys(source: Json, secret: Lookup, config_map: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for kind, lookup, decode in (("secretRef", secret, True), ("configMapRef", config_map, False)):
        reference = source.get(kind)
        if reference is None:
            continue
        obj = lookup(reference["name"])
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{_word(kind)} "{reference["name"]}" not found')
        return {prefix + key: _text(value, decode) for key, value in (obj.get("data") or {}).items()}
    return {}


def _from_source(source: Json, pod: Json, secret: Lookup, config_map: Lookup) -> str | None:
    for kind, lookup, decode in (("secretKeyRef", secret, True), ("configMapKeyRef", config_map, False)):
        if (reference := source.get(kind)) is not None:
            return _from_key(reference, kind, lookup(reference["name"]), decode)
    if (field := source.get("fieldRef")) is not None:
        return _field(pod, field["fieldPath"])
    raise ConfigError(f"unsupported source of a variable: {', '.join(source) or 'none'}")


def _from_key(reference: Json, kind: str, obj: Json | None, decode: bool) -> str | None:
    name, key = reference["name"], reference["key"]
    if obj is not None and key in (obj.get("data") or {}):
        return _text(obj["data"][key], decode)
    if reference.get("optional"):
        return None
    if obj is None:
        raise ConfigError(f'{_word(kind)} "{name}" not found')
    metadata = obj["metadata"]
    what = "Secret" if decode else "ConfigMap"
    raise ConfigError(f"couldn't find key {key} in {what} {metadata['namespace']}/{metadata['name']}")


def _word(kind: str) -> str:
    return "secret" if kind.startswith("secret") else "configmap"


def _text(value: str, decode: bool) -> str:
    if not decode:
        return value
    data = base64.b64decode(value)
    if b"\0" in data:
        raise ConfigError("a secret value with a NUL byte can't be an environment variable")
    # surrogateescape gives the process the very bytes.
    return data.decode("utf-8", "surrogateescape")


def _field(pod: Json, path: str) -> str:
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if match:
        return str((pod["metadata"].get(match.group(1)) or {}).get(match.group(2), ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None and path in ("status.podIP", "status.hostIP"):
        return "127.0.0.1"
    if value is None:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(value)
