"""The `matchConditions` of a webhook: it is asked only about requests for which all of them hold."""

from __future__ import annotations

from typing import Any

from embedded.validation.webhooks import AdmissionAttributes, build_review, call_failed_error

Json = dict[str, Any]

CONDITION_VARIABLES = ("object", "oldObject", "request")


def conditions_match(webhook: Json, request: AdmissionAttributes) -> bool:
    """Whether the webhook is to be asked.

    Raises:
        ApiError: a condition can't be evaluated, none is false, and the webhook's policy is Fail.
    """
    conditions = webhook.get("matchConditions") or []
    if not conditions:
        return True
    # Loaded by those who have conditions: it costs every other cluster nothing.
    from embedded.cel import CelError, compile_expression

    variables = {"object": request.new, "oldObject": request.old, "request": build_review(request, "")["request"]}
    failure = ""
    for condition in conditions:
        try:
            if compile_expression(condition["expression"], CONDITION_VARIABLES).evaluate(variables) is not True:
                return False
        except CelError as error:
            failure = f"matchConditions: {condition['name']}: {error}"
    if failure and webhook["failurePolicy"] == "Fail":
        raise call_failed_error(webhook["name"], failure)
    return not failure
