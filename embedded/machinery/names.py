"""What names, labels and annotations may be. Rules and words: apimachinery's validation."""

from __future__ import annotations

import re
from typing import Any

from embedded.machinery.errors import Cause

Json = dict[str, Any]

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_PATH_SEGMENT = re.compile(r"(?!\.\.?$)[^/%]+")

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_RBAC = "rbac.authorization.k8s.io"


def name_problem(name: str, resource: str) -> str | None:
    """Why `name` can't name an object of the resource (`ResourceType.key`); None when it can."""
    if resource.endswith(_RBAC):
        return None if _PATH_SEGMENT.fullmatch(name) else "may not be '.' or '..', or contain '/' or '%'"
    if resource == "namespaces":
        if len(name) > 63:
            return "must be no more than 63 bytes"
        return None if re.fullmatch(_LABEL, name) else _LABEL_RULE
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return None if re.fullmatch(_SUBDOMAIN, name) else _SUBDOMAIN_RULE


def metadata_causes(metadata: Json, resource: str) -> list[Cause]:
    """What is wrong with an object's name and labels."""
    causes: list[Cause] = []
    name = metadata.get("name")
    if not name:
        message = "Required value: name or generateName is required"
        return [Cause("FieldValueRequired", "metadata.name", message)]
    if why := name_problem(name, resource):
        causes.append(Cause("FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": {why}'))
    causes += label_causes(metadata.get("labels") or {}, "metadata.labels")
    return causes


def label_causes(labels: Json, field: str) -> list[Cause]:
    found = []
    for key, value in labels.items():
        if why := _key_problem(key):
            found.append(Cause("FieldValueInvalid", field, f'Invalid value: "{key}": {why}'))
        if not isinstance(value, str):
            found.append(Cause("FieldValueTypeInvalid", field, f"Invalid value: {value!r}: must be a string"))
        elif len(value) > 63:
            found.append(Cause("FieldValueInvalid", field, f'Invalid value: "{value}": must be no more than 63 bytes'))
        elif value and not re.fullmatch(_QUALIFIED, value):
            found.append(Cause("FieldValueInvalid", field, f'Invalid value: "{value}": {_VALUE_RULE}'))
    return found


def _key_problem(key: str) -> str | None:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not re.fullmatch(_SUBDOMAIN, prefix)):
        return f"prefix part {_SUBDOMAIN_RULE}"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return None if re.fullmatch(_QUALIFIED, name) else _KEY_RULE
