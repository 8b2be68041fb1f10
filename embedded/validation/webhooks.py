"""Validating webhooks: validation of configurations, matching of requests, and the AdmissionReview exchange.

Matching expects configurations that passed validation and have their defaults.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

from embedded.api.field_errors import duplicate, invalid, not_supported, required
from embedded.api.scheme import NAMESPACES, ResourceType
from embedded.api.selectors import matches_label_selector
from embedded.api.status_errors import ApiError, FieldError
from embedded.types import JsonObject

_DEFAULTS: JsonObject = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10}
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_KIND = "AdmissionReview"
_VERSION = "admission.k8s.io/v1"
_MAX_TIMEOUT_SECONDS = 30
_CONDITION_VARIABLES = ("object", "oldObject", "request")


class InvalidResponseError(Exception):
    """The response of a webhook is not an AdmissionReview for the request. The message states the cause."""


@dataclass(frozen=True)
class AdmissionAttributes:
    """The attributes of a request that webhooks match on and receive.

    Attributes:
        operation: CREATE, UPDATE or DELETE.
        user: as a UserInfo.
        namespace_labels: those of the object's namespace; for a Namespace its own.
    """

    operation: str
    resource: ResourceType
    subresource: str
    namespace: str
    name: str
    new: JsonObject | None
    old: JsonObject | None
    user: JsonObject
    dry_run: bool
    namespace_labels: JsonObject


# -- configurations


def set_configuration_defaults(configuration: JsonObject) -> None:
    for webhook in configuration.get("webhooks") or []:
        for field, value in _DEFAULTS.items():
            webhook.setdefault(field, value)
        webhook.setdefault("namespaceSelector", {})
        webhook.setdefault("objectSelector", {})
        for rule in webhook.get("rules") or []:
            rule.setdefault("scope", "*")
        if service := (webhook.get("clientConfig") or {}).get("service"):
            service.setdefault("port", 443)


def validate_configuration(configuration: JsonObject) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, webhook in enumerate(configuration.get("webhooks") or []):
        path, name = f"webhooks[{index}]", str(webhook.get("name", ""))
        if not name:
            errors.append(required(f"{path}.name"))
        elif name.count(".") < 2 or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
            errors.append(
                invalid(f"{path}.name", name, "should be a domain with at least three segments separated by dots")
            )
        if name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.add(name)
        errors += _validate_webhook(webhook, path)
    return errors


def _validate_webhook(webhook: JsonObject, path: str) -> list[FieldError]:
    errors: list[FieldError] = []

    def one_of(field: str, choices: tuple[str, ...]) -> None:
        value = webhook.get(field)
        if value not in choices:
            supported = ", ".join(f'"{choice}"' for choice in choices)
            missing = required(f"{path}.{field}", f"must specify one of {supported}")
            errors.append(not_supported(f"{path}.{field}", value, choices) if value else missing)

    for number, rule in enumerate(webhook.get("rules") or []):
        errors += _validate_rule(rule, f"{path}.rules[{number}]")
    one_of("failurePolicy", ("Fail", "Ignore"))
    one_of("matchPolicy", ("Equivalent", "Exact"))
    one_of("sideEffects", ("None", "NoneOnDryRun"))
    seconds = webhook.get("timeoutSeconds")
    if not isinstance(seconds, int) or not 1 <= seconds <= _MAX_TIMEOUT_SECONDS:
        errors.append(
            invalid(
                f"{path}.timeoutSeconds",
                seconds,
                f"the timeout value must be between 1 and {_MAX_TIMEOUT_SECONDS} seconds",
            )
        )
    versions = webhook.get("admissionReviewVersions") or []
    if not versions:
        errors.append(required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1"))
    elif "v1" not in versions:
        errors.append(invalid(f"{path}.admissionReviewVersions", versions, "must include at least one of v1, v1beta1"))
    for number, condition in enumerate(webhook.get("matchConditions") or []):
        errors += _validate_match_condition(condition, f"{path}.matchConditions[{number}]")
    return errors + _validate_client_config(webhook.get("clientConfig") or {}, f"{path}.clientConfig")


def _validate_match_condition(condition: JsonObject, path: str) -> list[FieldError]:
    from embedded.cel import CelError, compile_expression

    errors = [required(f"{path}.{field}") for field in ("name", "expression") if not condition.get(field)]
    try:
        compile_expression(condition.get("expression") or "true", _CONDITION_VARIABLES)
    except CelError as error:
        detail = f"compilation failed: ERROR: <input>: {error}"
        errors.append(invalid(f"{path}.expression", condition["expression"], detail))
    return errors


def _validate_rule(rule: JsonObject, path: str) -> list[FieldError]:
    errors = [
        required(f"{path}.{field}")
        for field in ("operations", "apiGroups", "apiVersions", "resources")
        if not rule.get(field)
    ]
    for field, choices in (("operations", _OPERATIONS), ("scope", _SCOPES)):
        values = rule.get(field) or []
        for index, value in enumerate([values] if isinstance(values, str) else values):
            if value not in choices:
                field_path = f"{path}.{field}" + ("" if isinstance(values, str) else f"[{index}]")
                errors.append(not_supported(field_path, value, choices))
    return errors


def _validate_client_config(client: JsonObject, path: str) -> list[FieldError]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    errors = []
    if url is not None:
        try:
            parts = urllib.parse.urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urllib.parse.urlsplit(""), ""
        detail = ""
        if parts.scheme != "https":
            detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        elif not host:
            detail = "host must be specified; desired format: https://host[/path]"
        elif parts.username or parts.query or parts.fragment:
            detail = "user information, query parameters and fragments are not permitted in the URL"
        if detail:
            errors.append(invalid(f"{path}.url", url, detail))
    if bundle := client.get("caBundle"):
        try:
            pem = base64.b64decode(bundle, validate=True)
        except (ValueError, binascii.Error):
            pem = b""
        if b"-----BEGIN CERTIFICATE-----" not in pem:
            errors.append(
                FieldError(
                    "FieldValueInvalid",
                    f"{path}.caBundle",
                    "Invalid value: unable to load root certificates: unable to parse bytes as PEM block",
                )
            )
    return errors


# -- matching


def rules_match(webhook: JsonObject, operation: str, resource: ResourceType, subresource: str) -> bool:
    """Whether a rule of the webhook matches requests of this kind: an operation on a resource or its subresource."""
    return any(_rule_matches(rule, operation, resource, subresource, webhook) for rule in webhook.get("rules") or [])


def selectors_match(webhook: JsonObject, request: AdmissionAttributes) -> bool:
    """Whether the webhook's selectors match the object of a request and its namespace."""
    if (request.resource.namespaced or request.resource is NAMESPACES) and not matches_label_selector(
        webhook.get("namespaceSelector") or {}, request.namespace_labels
    ):
        return False
    selector = webhook.get("objectSelector") or {}
    objects = [obj for obj in (request.new, request.old) if obj is not None]
    return not selector or any(matches_label_selector(selector, obj["metadata"].get("labels") or {}) for obj in objects)


def _rule_matches(
    rule: JsonObject, operation: str, resource: ResourceType, subresource: str, webhook: JsonObject
) -> bool:
    def lists(field: str, value: str) -> bool:
        values = rule.get(field) or []
        return "*" in values or value in values

    if rule.get("scope", "*") == ("Cluster" if resource.namespaced else "Namespaced"):
        return False
    # All versions of a resource are equivalent; the webhook receives the version of the request.
    versions = lists("apiVersions", resource.version) or (
        resource.needs_conversion and webhook["matchPolicy"] == "Equivalent"
    )
    if not (lists("operations", operation) and lists("apiGroups", resource.group) and versions):
        return False
    expected = rule.get("resources") or []
    if not subresource:
        return "*" in expected or "*/*" in expected or resource.plural in expected
    wildcards = ("*/*", f"{resource.plural}/{subresource}", f"{resource.plural}/*", f"*/{subresource}")
    return any(each in expected for each in wildcards)


def conditions_match(webhook: JsonObject, request: AdmissionAttributes) -> bool:
    """Whether all `matchConditions` of a webhook hold for a request.

    Raises:
        ApiError: a condition cannot be evaluated, none is false, and the failure policy is Fail.
    """
    conditions = webhook.get("matchConditions") or []
    if not conditions:
        return True
    # Imported at the first condition: most clusters have none.
    from embedded.cel import CelError, compile_expression

    variables = {"object": request.new, "oldObject": request.old, "request": build_review(request, "")["request"]}
    failure = ""
    for condition in conditions:
        try:
            if compile_expression(condition["expression"], _CONDITION_VARIABLES).evaluate(variables) is not True:
                return False
        except CelError as error:
            failure = f"matchConditions: {condition['name']}: {error}"
    if failure and webhook["failurePolicy"] == "Fail":
        raise call_failed_error(webhook["name"], failure)
    return not failure


# -- the AdmissionReview exchange


def build_review(request: AdmissionAttributes, uid: str) -> JsonObject:
    """The AdmissionReview to send to a webhook."""
    resource = request.resource
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    which = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    requested: JsonObject = {
        "uid": uid,
        "kind": kind,
        "resource": which,
        "requestKind": kind,
        "requestResource": which,
        "name": request.name,
        "operation": request.operation,
        "userInfo": request.user,
        "object": request.new,
        "oldObject": request.old,
        "dryRun": request.dry_run,
        "options": {"kind": f"{request.operation.capitalize()}Options", "apiVersion": "meta.k8s.io/v1"},
    }
    if request.namespace:
        requested["namespace"] = request.namespace
    if request.subresource:
        requested["subResource"] = requested["requestSubResource"] = request.subresource
    return {"kind": _KIND, "apiVersion": _VERSION, "request": requested}


def parse_response(webhook: str, uid: str, answer: Any) -> list[str]:
    """Parse the response of a webhook that allows the request; returns its warnings.

    Raises:
        ApiError: the webhook denies the request.
        InvalidResponseError: the response is not an AdmissionReview for this request.
    """
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict):
        raise InvalidResponseError("webhook response was absent")
    if answer.get("kind") != _KIND or answer.get("apiVersion") != _VERSION:
        raise InvalidResponseError(f"expected webhook response of {_VERSION}, Kind={_KIND}")
    if response.get("uid") != uid:
        raise InvalidResponseError(f'expected response.uid="{uid}"')
    if response.get("allowed") is not True:
        raise _denied_error(webhook, response.get("status"))
    return [str(warning) for warning in response.get("warnings") or []]


def _denied_error(webhook: str, status: Any) -> ApiError:
    response_status: JsonObject = status if isinstance(status, dict) else {}
    code = response_status.get("code")
    by = f'admission webhook "{webhook}" denied the request'
    detail = response_status.get("message") or response_status.get("reason")
    message = f"{by}: {detail}" if detail else f"{by} without explanation"
    number = code if isinstance(code, int) and 400 <= code <= 599 else 400
    details = response_status.get("details") if isinstance(response_status.get("details"), dict) else None
    return ApiError(number, str(response_status.get("reason") or ""), message, details)


def call_failed_error(webhook: str, detail: str) -> ApiError:
    """500, a webhook with failure policy Fail could not be called."""
    message = f'failed calling webhook "{webhook}": {detail}'
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})
