"""The environment of a container: what it inherits, what its spec says, and what `$(NAME)` stands for.

Pure: Secrets and ConfigMaps are looked up by functions that are handed in.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from embedded.kubelet.config import downward_api

Json = dict[str, Any]

# All that a container sees of the environment the cluster was started in, and why.
INHERITED_VARIABLES: Mapping[str, str] = {
    "PATH": "programs come from this machine, not from an image",
    "HOME": "tools keep caches and settings there",
    "USER": "some tools want to know who runs them",
    "LOGNAME": "the same, by its other name",
    "SHELL": "what tools start when they want a shell",
    "LANG": "output in the encoding that the machine is set up for",
    "LC_ALL": "the same",
    "LC_CTYPE": "the same",
    "TZ": "the machine's time zone",
    "TMPDIR": "on macOS each user has a folder of their own",
    "HTTP_PROXY": "the way out, where there is no other",
    "HTTPS_PROXY": "the same",
    "NO_PROXY": "and what it is not for",
    "http_proxy": "the same, for tools that read only this spelling",
    "https_proxy": "the same",
    "no_proxy": "the same",
    "SSL_CERT_FILE": "a proxy's own certificate",
    "SSL_CERT_DIR": "the same",
}

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class ConfigError(Exception):
    """A container can't be started as its spec stands: the message is the one a kubelet gives."""


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in INHERITED_VARIABLES if name in environment}


def expand_variables(text: str, values: Mapping[str, str]) -> str:
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
    try:
        return _environment(container, pod, secret, config_map)
    except (LookupError, TypeError, AttributeError) as error:
        # What the door let in, and nobody can read.
        raise ConfigError(f"its variables can't be read as they are written: {error!r}") from error


def _environment(container: Json, pod: Json, secret: Lookup, config_map: Lookup) -> dict[str, str]:
    values = {"HOSTNAME": str(pod["spec"].get("hostname") or pod["metadata"]["name"])}
    for source in container.get("envFrom") or []:
        values |= _from_env_source(source, secret, config_map)
    for variable in container.get("env") or []:
        name = variable["name"]
        if variable.get("valueFrom"):
            found = _from_value_source(variable["valueFrom"], container, pod, secret, config_map)
            if found is not None:
                values[name] = found
        else:
            values[name] = expand_variables(str(variable.get("value") or ""), values)
    return values


def _from_env_source(source: Json, secret: Lookup, config_map: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for kind, lookup, decode in (("secretRef", secret, True), ("configMapRef", config_map, False)):
        reference = source.get(kind)
        if reference is None:
            continue
        obj = lookup(reference["name"])
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{_kind_name(kind)} "{reference["name"]}" not found')
        named = {prefix + key: value for key, value in (obj.get("data") or {}).items()}
        # What can't be the name of a variable is left out, as a kubelet has it.
        return {name: _decode_value(value, decode) for name, value in named.items() if name and "=" not in name}
    raise ConfigError(f"unsupported source of variables: {', '.join(source) or 'none'}")


def _from_value_source(source: Json, container: Json, pod: Json, secret: Lookup, config_map: Lookup) -> str | None:
    for kind, lookup, decode in (("secretKeyRef", secret, True), ("configMapKeyRef", config_map, False)):
        if (reference := source.get(kind)) is not None:
            return _from_key(reference, kind, lookup(reference["name"]), decode)
    try:
        if (reference := source.get("fieldRef")) is not None:
            return downward_api.resolve_field(pod, reference["fieldPath"])
        if (reference := source.get("resourceFieldRef")) is not None:
            return downward_api.resolve_resource(reference, pod, container)
    except downward_api.DownwardApiError as error:
        raise ConfigError(str(error)) from error
    raise ConfigError(f"unsupported source of a variable: {', '.join(source) or 'none'}")


def _from_key(reference: Json, kind: str, obj: Json | None, decode: bool) -> str | None:
    name, key = reference["name"], reference["key"]
    if obj is not None and key in (obj.get("data") or {}):
        return _decode_value(obj["data"][key], decode)
    if reference.get("optional"):
        return None
    if obj is None:
        raise ConfigError(f'{_kind_name(kind)} "{name}" not found')
    metadata = obj["metadata"]
    what = "Secret" if decode else "ConfigMap"
    raise ConfigError(f"couldn't find key {key} in {what} {metadata['namespace']}/{metadata['name']}")


def _kind_name(kind: str) -> str:
    return "secret" if kind.startswith("secret") else "configmap"


def _decode_value(value: str, decode: bool) -> str:
    if not decode:
        return value
    data = base64.b64decode(value)
    if b"\0" in data:
        raise ConfigError("a secret value with a NUL byte can't be an environment variable")
    # surrogateescape gives the process the very bytes.
    return data.decode("utf-8", "surrogateescape")
