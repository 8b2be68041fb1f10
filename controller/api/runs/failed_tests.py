"""Which tests a new run is to run: only those that failed in an earlier one. Pure."""

from collections.abc import Mapping
from typing import Any

from controller.api.http.problems import ApiProblemError
from controller.run_types.phases import StepPhase


def failed_tests_spec(run: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The `failedTests` of a new run of this definition: the steps of `run` that have failed tests and `rerunFailed`.

    Raises a problem 409 that says why there are none.
    """
    name = str(run["metadata"]["name"])
    steps = (run.get("status") or {}).get("steps") or ()
    with_tests = [
        each for each in steps if each.get("phase") == StepPhase.FAILED and _last_with_tests(each) is not None
    ]
    if not with_tests:
        detail = (
            f"no step of {name} has failed with tests that failed; `reports` says where a step writes their results"
        )
        raise ApiProblemError("conflict", detail)
    able = {str(each["name"]) for each in definition.get("steps") or () if each.get("rerunFailed")}
    found = [
        {"step": str(each["slug"]), "attempt": _last_with_tests(each)}
        for each in with_tests
        if _defined_as(each) & able
    ]
    if not found:
        step = str(with_tests[0]["name"])
        detail = f"the step {step} does not say how only its failed tests are run: add `rerunFailed`, or run it whole"
        raise ApiProblemError("conflict", detail)
    return {"run": name, "uid": str(run["metadata"]["uid"]), "steps": found}


def _last_with_tests(step: Mapping[str, Any]) -> int | None:
    """The last attempt of a step, if it has failed tests."""
    attempts = step.get("attempts") or ()
    last = attempts[-1] if attempts else {}
    return int(last["number"]) if (last.get("tests") or {}).get("failed") else None


def _defined_as(step: Mapping[str, Any]) -> set[str]:
    """The names that the step may have in the file: one of a matrix has its values after it."""
    name = str(step["name"])
    return {name, str(step.get("matrixOf") or name), name.split(" (", 1)[0]}
