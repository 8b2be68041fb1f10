"""The environment of a container: inherited variables, those of its spec, and `$(NAME)` references.

Pure: Secrets and ConfigMaps are looked up by injected functions.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from embedded.kubelet.config import downward_api

Json = dict[str, Any]

# The variables that containers inherit from the environment of the cluster, and why.
INHERITED_VARIABLES: Mapping[str, str] = {
    "PATH": "programs come from this machine, not from an image",
    "HOME": "tools keep caches and settings there",
    "USER": "some tools need the name of the user",
    "LOGNAME": "the same under another name",
    "SHELL": "the shell that tools start",
    "LANG": "output in the encoding of the machine",
    "LC_ALL": "the same",
    "LC_CTYPE": "the same",
    "TZ": "the machine's time zone",
    "TMPDIR": "on macOS each user has a separate folder",
    "HTTP_PROXY": "the proxy, where there is no direct connection",
    "HTTPS_PROXY": "the same",
    "NO_PROXY": "hosts that are reached without the proxy",
    "http_proxy": "the same, for tools that read only this spelling",
    "https_proxy": "the same",
    "no_proxy": "the same",
    "SSL_CERT_FILE": "a proxy's own certificate",
    "SSL_CERT_DIR": "the same",
}

MAX_EXPANDED_CHARACTERS = 4 << 20
"""More than any program can be started with."""
_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class ConfigError(Exception):
    """A container can't be started with its spec; the message is that of a kubelet."""


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in INHERITED_VARIABLES if name in environment}


def contained_environment(pods_folder: str) -> dict[str, str]:
    """Variables that keep the programs of a container from finding what is above the folder of all pods.

    git would use a repository above the workspace that is not the pipeline's, such as dotfiles in the home folder.
    """
    return {"GIT_CEILING_DIRECTORIES": pods_folder}


def expand_variables(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; unknown names stay as they are, and `$$` is a dollar sign.

    Raises:
        ConfigError: the result is too long: variables that name others twice double at each step.
    """
    left = MAX_EXPANDED_CHARACTERS

    def replace(match: re.Match[str]) -> str:
        nonlocal left
        if match.group() == "$$":
            return "$"
        value = values.get(match.group(1), match.group())
        left -= len(value)
        if left < 0:
            raise ConfigError(f"variables expand to more than {MAX_EXPANDED_CHARACTERS} characters")
        return value

    return _REFERENCE.sub(replace, text)


Lookup = Callable[[str], Json | None]


def container_environment(container: Json, pod: Json, secret: Lookup, config_map: Lookup) -> dict[str, str]:
    """The variables of a container's spec. `secret` and `config_map` find objects by name.

    Raises:
        ConfigError: an object or key that is not optional is missing.
    """
    try:
        return _environment(container, pod, secret, config_map)
    except (LookupError, TypeError, AttributeError) as error:
        # Validation of the API accepts more than can be used here.
        raise ConfigError(f"the container's variables are invalid: {error!r}") from error


def _environment(container: Json, pod: Json, secret: Lookup, config_map: Lookup) -> dict[str, str]:
    values = {"HOSTNAME": str(pod["spec"].get("hostname") or pod["metadata"]["name"])}
    for source in container.get("envFrom") or []:
        values |= _from_env_source(source, secret, config_map)
    expanded = 0
    for variable in container.get("env") or []:
        name = variable["name"]
        if variable.get("valueFrom"):
            found = _from_value_source(variable["valueFrom"], container, pod, secret, config_map)
            if found is not None:
                values[name] = found
        else:
            values[name] = expand_variables(str(variable.get("value") or ""), values)
            expanded += len(values[name])
            if expanded > MAX_EXPANDED_CHARACTERS:
                raise ConfigError(f"variables expand to more than {MAX_EXPANDED_CHARACTERS} characters")
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
        # Keys that can't be names of variables are left out, as by a kubelet.
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
    # surrogateescape preserves bytes that are not UTF-8.
    return data.decode("utf-8", "surrogateescape")
