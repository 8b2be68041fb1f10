"""Parses and validates the query options of requests, with the error messages of a real server. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded.api.status_errors import ApiError, FieldError, bad_request, invalid

Json = dict[str, Any]
Query = Mapping[str, str]

_META = "meta.k8s.io"
_MATCHES = ("Exact", "NotOlderThan")
_VALIDATIONS = ("Ignore", "Strict", "Warn")
_PROPAGATIONS = ("Background", "Foreground", "Orphan")
_MAX_MANAGER_BYTES = 128
_OPTIONS_OF = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def not_supported(field: str, value: Any, choices: tuple[str, ...]) -> FieldError:
    listed = ", ".join(f'"{choice}"' for choice in choices)
    return FieldError("FieldValueNotSupported", field, f'Unsupported value: "{value}": supported values: {listed}')


def forbidden(field: str, why: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, f"Forbidden: {why}")


def _raise_invalid(kind: str, causes: list[FieldError]) -> None:
    if causes:
        raise invalid(kind, "", _META, causes)


def parse_bool(query: Query, name: str) -> bool:
    """A boolean option, parsed as by a real server: every value except `0` and `false` is true."""
    return name in query and query[name].lower() not in ("false", "0")


def parse_int(query: Query, name: str) -> int | None:
    """An integer option; None if it is not given.

    Raises:
        ApiError: 400, it is not an integer.
    """
    text = query.get(name, "")
    if not text:
        return None
    try:
        return int(text) if text.isascii() and "_" not in text else int("")
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def parse_revision(query: Query, *, watch: bool = False) -> int | None:
    """The resourceVersion of a list or watch, 0 for "any"; None if it is not given.

    Raises:
        ApiError: it is not a number: 400 for a list, 500 for a watch, as by a real server.
    """
    text = query.get("resourceVersion", "")
    if text and not (text.isascii() and text.isdigit()):
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, "", why) if watch else bad_request(f"invalid resource version: {why}")
    return int(text) if text else None


def require_reached_revision(query: Query, now: int) -> None:
    """Refuse a resourceVersion that does not exist yet, as a real server does after it has waited for it.

    Raises:
        ApiError: 504.
    """
    text = query.get("resourceVersion", "")
    if text.isascii() and text.isdigit() and int(text) > now:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {text}, current: {now}"
        raise ApiError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def validate_list_options(query: Query) -> None:
    """Validate the options of a list.

    Raises:
        ApiError: 400 or 422, options contradict each other.
    """
    if query.get("continue") and query.get("resourceVersion"):
        raise bad_request("specifying resource version is not allowed when using continue")
    causes, match, field = [], query.get("resourceVersionMatch", ""), "resourceVersionMatch"
    if match:
        if not query.get("resourceVersion"):
            causes.append(forbidden(field, f"{field} is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(forbidden(field, f"{field} is forbidden when continue is provided"))
        if match not in _MATCHES:
            causes.append(not_supported(field, match, (*_MATCHES, "")))
        if match == "Exact" and query.get("resourceVersion") == "0":
            causes.append(forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"'))
    if query.get("sendInitialEvents"):
        causes.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _raise_invalid("ListOptions", causes)


def validate_watch_options(query: Query) -> None:
    """Validate the options of a watch.

    Raises:
        ApiError: 422, options contradict each other.
    """
    causes, match, field = [], query.get("resourceVersionMatch", ""), "resourceVersionMatch"
    if query.get("sendInitialEvents"):
        if match != "NotOlderThan":
            why = f"sendInitialEvents requires setting {field} to NotOlderThan"
            causes.append(forbidden(field, why) if not match else not_supported(field, match, ("NotOlderThan",)))
    elif match:
        causes.append(forbidden(field, f"{field} is forbidden for watch unless sendInitialEvents is provided"))
    if query.get("continue"):
        causes.append(forbidden("continue", "continue is forbidden for watch"))
    _raise_invalid("ListOptions", causes)


def validate_write_options(verb: str, query: Query, dry_runs: list[str], *, is_apply: bool = False) -> None:
    """Validate the options of a create, update or patch.

    Raises:
        ApiError: 422.
    """
    causes = _dry_run_errors(dry_runs)
    manager = query.get("fieldManager", "")
    if len(manager) > _MAX_MANAGER_BYTES:
        why = f"Too long: may not be more than {_MAX_MANAGER_BYTES} bytes"
        causes.append(FieldError("FieldValueTooLong", "fieldManager", why))
    elif not manager.isprintable():
        causes.append(
            FieldError(
                "FieldValueInvalid",
                "fieldManager",
                f"Invalid value: {manager!r}: should only contain printable characters",
            )
        )
    if is_apply and not manager:
        causes.append(FieldError("FieldValueRequired", "fieldManager", "Required value: is required for apply patch"))
    if verb == "patch" and not is_apply and "force" in query:
        causes.append(forbidden("force", "may not be specified for non-apply patch"))
    validation = query.get("fieldValidation", "")
    if validation and validation not in _VALIDATIONS:
        causes.append(not_supported("fieldValidation", validation, _VALIDATIONS))
    _raise_invalid(_OPTIONS_OF[verb], causes)


def validate_delete_option_types(options: Json) -> None:
    """Check the types of DeleteOptions.

    Raises:
        ApiError: 400, a field has a wrong type.
    """
    grace, dry_runs = options.get("gracePeriodSeconds"), options.get("dryRun") or []
    if grace is not None and (type(grace) is not int or abs(grace) >= 1 << 63):
        raise bad_request("DeleteOptions: gracePeriodSeconds must be a whole number")
    if not isinstance(dry_runs, list) or not isinstance(options.get("preconditions") or {}, dict):
        raise bad_request("DeleteOptions: dryRun must be a list and preconditions an object")
    if not isinstance(options.get("propagationPolicy") or "", str):
        raise bad_request("DeleteOptions: propagationPolicy must be a string")


def validate_delete_options(options: Json) -> None:
    """Validate DeleteOptions.

    Raises:
        ApiError: 422.
    """
    causes = []
    policy, orphan = options.get("propagationPolicy"), options.get("orphanDependents")
    if policy is not None and orphan is not None:
        why = "Invalid value: orphanDependents and deletionPropagation cannot be both set"
        causes.append(FieldError("FieldValueInvalid", "propagationPolicy", why))
    if policy is not None and policy not in _PROPAGATIONS:
        causes.append(not_supported("propagationPolicy", policy, (*_PROPAGATIONS, "nil")))
    causes += _dry_run_errors(options.get("dryRun") or [])
    _raise_invalid("DeleteOptions", causes)


def _dry_run_errors(values: list[str]) -> list[FieldError]:
    return [not_supported("dryRun", value, ("All",)) for value in values if value != "All"]
