"""Secrets that the Secrets Store CSI driver mounts, from Vault or a cloud (https://secrets-store-csi-driver.sigs.k8s.io).

A step mounts a SecretProviderClass. What it mounts can be masked in logs only if the controller can read it: from the
Secret that the driver makes of it (`secretObjects`). This says whether a class may be used, and whether that Secret has
all that is mounted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from controller import labels

Json = dict[str, Any]

DRIVER = "secrets-store.csi.k8s.io"
_MAX_PARAMETER = 256 * 1024
_MAX_DEPTH = 4


def refusal(name: str, secret: str, provider_class: Json | None) -> str:
    """Why a step may not mount a SecretProviderClass, as a sentence; empty if it may.

    Args:
        name: of the class.
        secret: the Secret that the step names as that which the driver makes.
        provider_class: None if there is none, or no such resource in the cluster.
    """
    if provider_class is None:
        return (
            f"there is no SecretProviderClass {name} in the namespace (it needs the Secrets Store CSI driver in the "
            "cluster, with syncSecret.enabled=true)"
        )
    if (provider_class["metadata"].get("labels") or {}).get(labels.SECRET) != "true":
        label = f"{labels.SECRET}=true"
        return (
            f"the SecretProviderClass {name} is not for pipelines: it lacks the label {label}; have an administrator "
            f"allow it with `kubectl label secretproviderclass {name} {label}`"
        )
    spec = provider_class.get("spec") or {}
    objects = [each for each in spec.get("secretObjects") or () if each.get("secretName") == secret]
    if not objects:
        return (
            f"the SecretProviderClass {name} makes no Secret {secret}: without one among its `secretObjects`, nothing "
            "of it could be masked in logs"
        )
    if any((each.get("labels") or {}).get(labels.SECRET) != "true" for each in objects):
        return (
            f"the Secret {secret} of the SecretProviderClass {name} is not for pipelines: set the label "
            f'{labels.SECRET}: "true" in `secretObjects[].labels`'
        )
    synced = {str(data.get("objectName")) for each in objects for data in each.get("data") or ()}
    unmasked = [each for each in mounted_objects(spec.get("parameters") or {}) if each not in synced]
    if unmasked:
        what = ", ".join(unmasked[:3])
        return (
            f"the SecretProviderClass {name} mounts {what}, which its Secret {secret} lacks: it could not be masked in "
            "logs; add it to `secretObjects[].data`"
        )
    return ""


def mounted_objects(parameters: Json) -> list[str]:
    """The names of the files that a class mounts, by the parameters of the known providers.

    Vault and AWS list objects with `objectName` (AWS: or `objectAlias`) as YAML; Azure lists YAML texts of such objects
    under `array`; Google lists `secrets` with `path` or `fileName`. Of other parameters nothing is known.
    """
    found = [*_objects(_load(parameters.get("objects"))), *_objects(_load(parameters.get("secrets")))]
    return list(dict.fromkeys(found))


def _objects(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for each in value:
            yield from _objects(_load(each) if isinstance(each, str) else each, depth + 1)
    elif isinstance(value, dict):
        if "array" in value:
            yield from _objects(value["array"], depth + 1)
            return
        for key in ("objectAlias", "objectName", "path", "fileName"):
            if isinstance(value.get(key), str) and value[key]:
                yield value[key]
                return


def _load(text: Any) -> Any:
    """A parameter as YAML; None if it is none."""
    if not isinstance(text, str) or len(text) > _MAX_PARAMETER:
        return None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return None
